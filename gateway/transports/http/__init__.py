"""GraphQL over HTTP: requests, batches, multipart and server-sent streams."""

"""What the REST endpoints share: routing, responses, fixed queries, and the OpenAPI document."""

"""How GraphQL reaches its clients: over HTTP, as streams, over WebSockets. `gateway/graphql` is what answers."""

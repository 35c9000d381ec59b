"""ASGI middleware, outermost first: request state, concurrency limit, body limit."""

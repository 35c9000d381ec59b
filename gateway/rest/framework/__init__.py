"""Shared parts of the REST endpoints: routing, responses, static queries and the OpenAPI document."""

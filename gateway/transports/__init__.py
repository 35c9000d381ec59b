"""Transports that carry GraphQL operations."""

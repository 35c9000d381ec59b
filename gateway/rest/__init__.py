"""The REST API: one module for each resource, over the same operations and the same read engine as GraphQL."""

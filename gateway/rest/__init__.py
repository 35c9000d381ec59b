"""The REST half: thin endpoints over the same operations and the same engine as GraphQL's."""

"""The real things behind the ports of `resolvers`."""

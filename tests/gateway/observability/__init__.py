"""What who runs a server is told of it."""

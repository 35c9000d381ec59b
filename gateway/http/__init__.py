"""One HTTP request, whatever the protocol on top of it."""

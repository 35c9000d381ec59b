"""What tests stand on: services, databases, servers, accounts, and callers over either protocol."""

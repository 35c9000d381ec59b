"""What tests stand on: Postgres and Redis, databases, servers, accounts, and callers over either protocol."""

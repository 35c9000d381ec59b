"""Authentication: credentials, cookies, sessions and external identity providers."""

"""Authentication: access tokens, cookies, API keys, an external identity provider and Auth.js."""

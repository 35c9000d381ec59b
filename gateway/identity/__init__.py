"""Who is asking, beside our own accounts: an outside identity provider, Auth.js, and machines with API keys."""

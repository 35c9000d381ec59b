"""Documents asked for by clients that others wrote, and manifests made by the tools of others."""

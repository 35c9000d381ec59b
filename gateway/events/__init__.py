"""The event log and its server-sent events feed."""

"""Clients that others wrote, against this server as it is served."""

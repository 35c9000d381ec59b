"""Clients that others wrote, following the log."""

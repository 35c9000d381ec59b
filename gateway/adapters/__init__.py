"""Implementations of the ports in `resolvers/ports.py`."""

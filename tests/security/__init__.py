"""Attacks on the service, and what prevents them."""

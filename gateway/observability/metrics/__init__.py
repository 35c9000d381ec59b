"""Prometheus metrics: counted as requests end, formatted when `/metrics` is scraped."""

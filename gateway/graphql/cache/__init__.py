"""Caches of responses and counts, and the rules that invalidate them."""

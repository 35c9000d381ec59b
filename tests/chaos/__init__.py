"""Faults, made on purpose in real stores under real servers: `make chaos` runs them, and prints what came of each.

For each: which codes clients saw, how long the longest of them waited, how long until all was well, and that nothing
that was acknowledged is lost, nor anything done twice.
"""

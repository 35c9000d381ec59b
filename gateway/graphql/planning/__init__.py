"""Compile an operation to one SQL statement, once per document."""

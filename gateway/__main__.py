"""`python -m gateway`, the same as `gateway`."""

from gateway.cli import app

app()

"""`python -m gateway` is the same as `gateway`."""

from gateway.cli import app

app()

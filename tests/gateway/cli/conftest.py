"""Fixtures of the command tests."""

from tests.models.conftest import bare_postgres_url

__all__ = ["bare_postgres_url"]

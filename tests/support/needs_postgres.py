"""Not one of the tests: `tests/project/test_fixtures.py` runs it where there is no Postgres."""


def test_one_that_needs_postgres(postgres_url: str) -> None:
    """Passes where there is one."""

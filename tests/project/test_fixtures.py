"""The ground that the other tests stand on."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlmodel import func, select

from models import Database, User
from tests.support.servers import build_environment

NOWHERE = "postgresql://postgres@127.0.0.1:1/postgres"


async def count_users(url: str) -> int:
    db = Database(url)
    async with db.reading() as session:
        found = (await session.scalars(select(func.count()).select_from(User))).one()
    await db.close()
    return found


@pytest.mark.parametrize("time", ["first", "second"])
async def test_every_test_begins_with_an_empty_database(database_url, time):
    """What one leaves behind, the next does not find."""
    assert await count_users(database_url) == 0
    db = Database(database_url)
    async with db.writing() as session:
        session.add(User(name="Left behind", email="left@example.com"))
    await db.close()
    assert await count_users(database_url) == 1


@pytest.mark.parametrize(
    ("ci", "outcome", "exit_code"), [("", "1 skipped", 0), ("true", "1 error", 1)], ids=["at home", "in CI"]
)
def test_what_a_machine_lacks_is_skipped_aloud_and_fails_in_ci(ci, outcome, exit_code):
    """A run without Postgres says so; in CI it is not green."""
    tests = Path(__file__).parents[1]
    test = tests / "support" / "needs_postgres.py"
    environment = build_environment("unused", CI=ci, TEST_POSTGRES_URL=NOWHERE)
    command = [sys.executable, "-m", "pytest", str(test), "-rs", "-p", "no:xdist"]
    run = subprocess.run(command, cwd=tests.parent, env=environment, capture_output=True, text=True, check=False)
    assert (run.returncode, outcome in run.stdout, "TEST_POSTGRES_URL does not answer" in run.stdout) == (
        exit_code,
        True,
        True,
    ), run.stdout

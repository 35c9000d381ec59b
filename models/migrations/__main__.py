"""`python -m models.migrations "Add the uploads"`: generate a revision that brings the tables up to the models."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from models.migrations import run, upgrade


def autogenerate(message: str) -> None:
    """Write a revision with the differences between the models and a temporary database at the latest revision."""

    def revise(connection: Connection, config: Config) -> None:
        command.revision(config, message, autogenerate=True)

    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'compare.db'}"
        asyncio.run(upgrade(url))
        run(url, revise)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('Describe the migration: make migration m="Add the uploads"')
    autogenerate(sys.argv[1])

"""`python -m models.migrations "Add the uploads"`: write the revision that leads to the models as they are now."""

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from models.migrations import run, upgrade


def autogenerate(message: str) -> None:
    """Compare the models with an empty database brought up to head; nobody's own database is touched."""

    def revise(connection: Connection, config: Config) -> None:
        command.revision(config, message, autogenerate=True)

    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'compare.db'}"
        asyncio.run(upgrade(url))
        run(url, revise)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('Say what the migration does: make migration m="Add the uploads"')
    autogenerate(sys.argv[1])

"""SQLAlchemy's own engines: for what makes and changes tables, and asks about them."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from models.database import postgres, sqlite

HIDDEN = {"hide_parameters": True}
"""Errors are logged with their statement, but not with what people wrote, nor with hashes."""


def engine_of(url: URL, longest: float | None = None) -> AsyncEngine:
    return sqlite_engine(url) if url.get_backend_name() == "sqlite" else postgres_engine(url, longest)


def sqlite_engine(url: URL) -> AsyncEngine:
    path = Path(url.database or "data/gateway.db")
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(url, module=sqlite.dbapi(), async_creator=lambda: sqlite.connect(path), **HIDDEN)

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def postgres_engine(url: URL, longest: float | None) -> AsyncEngine:
    options = postgres.patience(longest) if longest else {"server_settings": postgres.SETTINGS}
    return create_async_engine(url, connect_args={"async_creator_fn": postgres.connect, **options}, **HIDDEN)

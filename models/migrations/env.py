"""Alembic's environment. `config.attributes` has the connection, inside its transaction."""

from typing import Any

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from models.base import UTCDateTime


def render_type(kind: str, item: Any, autogenerate: Any) -> str | bool:
    """Render column types as SQLAlchemy's own, so that a revision does not depend on the models."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String({item.length or ''})"
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    render_item=render_type,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()

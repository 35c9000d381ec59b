"""What Alembic runs for each command: it is given a connection, already in its transaction."""

from typing import Any

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from models.base import UTCDateTime


def render_type(kind: str, item: Any, autogenerate: Any) -> str | bool:
    """Revisions name SQLAlchemy's own types only, so that an old one does not depend on today's models."""
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

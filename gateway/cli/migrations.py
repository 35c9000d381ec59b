"""Who migrates: the server itself where that needs nobody's leave, an operator elsewhere."""

from gateway.settings import Settings
from models.migrations import is_current, upgrade


class DatabaseNotMigrated(RuntimeError):
    """The database lacks migrations that this server may not run by itself."""


async def ensure_migrated(settings: Settings) -> None:
    """Bring the database up to date. In production Postgres may have other servers on it, so an operator does that."""
    if settings.on_sqlite or not settings.in_production:
        await upgrade(settings.database_url)
    else:
        await expect_current(settings.database_url)


async def expect_current(url: str) -> None:
    """Refuse a database that is behind, and leave it as it is."""
    if not await is_current(url):
        raise DatabaseNotMigrated("The database is behind this version: run `gateway migrate` first")

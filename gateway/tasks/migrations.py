"""Migration at startup."""

from gateway.settings import Settings
from models.migrations import is_current, upgrade


class DatabaseNotMigrated(RuntimeError):
    """The database lacks migrations that this server may not run by itself."""


async def ensure_migrated(settings: Settings) -> None:
    """Migrate the database; on Postgres in production, where other servers may use it, only check that it is current.

    Raises `DatabaseNotMigrated`.
    """
    if settings.on_sqlite or not settings.in_production:
        await upgrade(settings.database_url)
    else:
        await check_migrated(settings.database_url)


async def check_migrated(url: str) -> None:
    """Reject a database that lacks migrations, without changing it. Raises `DatabaseNotMigrated`."""
    if not await is_current(url):
        raise DatabaseNotMigrated("The database is behind this version: run `gateway migrate` first")

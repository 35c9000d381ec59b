"""Wake-ups: how a process tells the others that the event log has new rows."""

from gateway.adapters.wakeups.in_process import InProcessWakeup
from gateway.adapters.wakeups.postgres import PostgresWakeup
from gateway.adapters.wakeups.redis import RedisWakeup
from gateway.settings import Settings
from resolvers.ports import Wakeup


def create_wakeup(settings: Settings) -> Wakeup:
    """Use Redis if configured, else Postgres; on SQLite, wake this process only."""
    if settings.redis_url:
        return RedisWakeup(settings.redis_url)
    return InProcessWakeup() if settings.on_sqlite else PostgresWakeup(settings.database_url)

"""Brokers: how processes wake each other. Which one a server has follows from where its data is."""

from gateway.adapters.wakeups.in_process import InProcessWakeup
from gateway.adapters.wakeups.postgres import PostgresBroker
from gateway.adapters.wakeups.redis import RedisBroker
from gateway.settings import Settings
from resolvers.ports import Wakeup


def create_wakeup(settings: Settings) -> Wakeup:
    """Redis where there is one, else Postgres; a SQLite file is mostly one process's."""
    if settings.redis_url:
        return RedisBroker(settings.redis_url)
    return InProcessWakeup() if settings.on_sqlite else PostgresBroker(settings.database_url)

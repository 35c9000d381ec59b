"""Wake-ups over the database itself: LISTEN and NOTIFY."""

import asyncio
from typing import Any

import asyncpg
from sqlalchemy import make_url

from gateway.adapters.wakeups.reconnecting import COALESCE_INTERVAL, PATIENCE, ReconnectingWakeup

CHANNEL = "dovetail_events"


class PostgresBroker(ReconnectingWakeup):
    """Listens and notifies over one connection of its own, for a pooled one would be busy with nothing."""

    name = "Postgres"
    connection_errors = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.own_process = 0

    async def run(self) -> None:
        settings = {"application_name": "dovetail wake-ups"}
        connection = await asyncpg.connect(self.url, timeout=PATIENCE, server_settings=settings)
        try:
            self.own_process = connection.get_server_pid()
            connection.add_termination_listener(lambda _: self.pending.set())
            await connection.add_listener(CHANNEL, self.on_message)
            self.connected()
            while True:
                await self.wait_for_send()
                await connection.execute(f"NOTIFY {CHANNEL}", timeout=PATIENCE)
                await asyncio.sleep(COALESCE_INTERVAL)
        finally:
            connection.terminate()

    def on_message(self, connection: Any, process: int, channel: str, payload: str) -> None:
        if process != self.own_process:
            self.wake()

"""Wake-ups over Postgres' LISTEN and NOTIFY."""

import asyncio
from typing import Any

import asyncpg
from sqlalchemy import make_url

from gateway.adapters.wakeups.reconnecting import COALESCE_SECONDS, NETWORK_TIMEOUT_SECONDS, ReconnectingWakeup

CHANNEL = "dovetail_events"


class PostgresWakeup(ReconnectingWakeup):
    """Listens and notifies over a connection of its own, because LISTEN would occupy a pooled one permanently."""

    name = "Postgres"
    connection_errors = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        self.server_pid = 0

    async def run(self) -> None:
        settings = {"application_name": "dovetail wake-ups"}
        connection = await asyncpg.connect(self.url, timeout=NETWORK_TIMEOUT_SECONDS, server_settings=settings)
        try:
            self.server_pid = connection.get_server_pid()
            connection.add_termination_listener(lambda _: self.pending.set())
            await connection.add_listener(CHANNEL, self.on_message)
            self.on_connected()
            while True:
                await self.wait_for_send()
                await connection.execute(f"NOTIFY {CHANNEL}", timeout=NETWORK_TIMEOUT_SECONDS)
                await asyncio.sleep(COALESCE_SECONDS)
        finally:
            connection.terminate()

    def on_message(self, connection: Any, pid: int, channel: str, payload: str) -> None:
        if pid != self.server_pid:
            self.wake()

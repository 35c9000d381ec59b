"""A subscriber in a Node process."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EVENT_TIMEOUT_SECONDS = 60.0
"""Includes the time that a client takes to reconnect."""
RECONNECT_DELAY_MILLISECONDS = 200
"""Of the clients whose delay can be set."""


@dataclass
class Subscriber:
    """The output of `subscribe.js` so far."""

    client: str
    process: asyncio.subprocess.Process
    events: list[tuple[int, str]] = field(default_factory=list)
    """The id and type of each."""
    closed: list[int | None] = field(default_factory=list)
    failed: list[int | str] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def read_events(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self.changed:
                self.note(**json.loads(line))
                self.changed.notify_all()

    def note(self, *, event: dict[str, Any] | None = None, **output: Any) -> None:
        if event:
            self.events.append((event["id"], event["type"]))
        self.closed += [output["closed"]] if "closed" in output else []
        self.failed += [output["failed"]] if "failed" in output else []

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition is true."""
        try:
            async with asyncio.timeout(EVENT_TIMEOUT_SECONDS), self.changed:
                await self.changed.wait_for(condition)
        except TimeoutError:
            raise AssertionError(f"{self.client}: {self.events}, {self.closed}, {self.failed}") from None

    async def receive(self, *types: str) -> list[int]:
        """Wait for events of exactly these types, in this order, and return their ids."""
        await self.until(lambda: len(self.events) >= len(types))
        assert [type for _, type in self.events] == [*types], self.client
        assert not self.failed
        return [id for id, _ in self.events]

    async def get_failure(self) -> int | str:
        """Return the reason why the client gave up."""
        await self.until(lambda: self.failed)
        return self.failed[0]


@asynccontextmanager
async def open_subscriber(client: str, folder: Path, address: str, **options: Any) -> AsyncIterator[Subscriber]:
    """Start a client; the options are those of `subscribe.js`."""
    options = {"address": address, "token": None, "wait": RECONNECT_DELAY_MILLISECONDS, **options}
    process = await asyncio.create_subprocess_exec(
        "node", "subscribe.js", client, json.dumps(options), cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    subscriber = Subscriber(client, process)
    reader = asyncio.create_task(subscriber.read_events())
    try:
        yield subscriber
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader

"""A follower in a Node process, as the test sees it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 60.0
"""Seconds for what a client should hear, which includes those that it takes to come back."""
WAIT = 200
"""Milliseconds until clients come back, those that can be told."""


@dataclass
class Follower:
    """What it said so far (`follow.js`)."""

    client: str
    process: asyncio.subprocess.Process
    events: list[tuple[int, str]] = field(default_factory=list)
    """Id and type of each."""
    closed: list[int | None] = field(default_factory=list)
    failed: list[int | str] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self.news:
                self.note(**json.loads(line))
                self.news.notify_all()

    def note(self, *, event: dict[str, Any] | None = None, **what: Any) -> None:
        if event:
            self.events.append((event["id"], event["type"]))
        self.closed += [what["closed"]] if "closed" in what else []
        self.failed += [what["failed"]] if "failed" in what else []

    async def until(self, is_so: Callable[[], Any]) -> None:
        """Wait for it, but no longer than a client needs."""
        try:
            async with asyncio.timeout(PATIENCE), self.news:
                await self.news.wait_for(is_so)
        except TimeoutError:
            raise AssertionError(f"{self.client}: {self.events}, {self.closed}, {self.failed}") from None

    async def heard(self, *types: str) -> list[int]:
        """The ids of all that it heard, once that is events of these types, in this order and no others."""
        await self.until(lambda: len(self.events) >= len(types))
        assert [type for _, type in self.events] == [*types], self.client
        assert not self.failed
        return [id for id, _ in self.events]

    async def gave_up(self) -> int | str:
        """Why."""
        await self.until(lambda: self.failed)
        return self.failed[0]


@asynccontextmanager
async def following(client: str, folder: Path, address: str, **options: Any) -> AsyncIterator[Follower]:
    """A follower with the options of `follow.js`."""
    options = {"address": address, "token": None, "wait": WAIT, **options}
    process = await asyncio.create_subprocess_exec(
        "node", "follow.js", client, json.dumps(options), cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    follower = Follower(client, process)
    listening = asyncio.create_task(follower.listen())
    try:
        yield follower
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await listening

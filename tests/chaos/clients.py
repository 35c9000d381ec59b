"""Clients who go on whatever happens: they name their writes, and send them again until they are answered."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import httpx
from sqlalchemy import func, select

from models import Database, Event, Post
from tests.support.accounts import Account
from tests.support.writing import CONTENT

WRITERS, READERS = 6, 6
PAUSE = 0.02
PATIENCE = 40.0

CREATE = "mutation($input: CreatePostInput!) { createPost(input: $input) { id } }"
READ = {"query": "{ posts(first: 5) { nodes { id title } } }"}
BROKEN = "connection broken"


@dataclass
class Clients:
    """What they saw."""

    address: str
    author: Account
    codes: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    acknowledged: dict[int, str] = field(default_factory=dict)
    """The id of each post that a server said is written, by the number that its writer gave it."""
    last_failure: float = 0.0
    recent: dict[str, float] = field(default_factory=dict)
    """When each kind of request last went well."""
    over: bool = False
    numbers: count = field(default_factory=count)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator["Clients"]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self.address, timeout=PATIENCE, limits=limits) as http:
            tasks = [asyncio.create_task(self.write(http)) for _ in range(WRITERS)]
            tasks += [asyncio.create_task(self.read(http)) for _ in range(READERS)]
            try:
                await self.well()
                yield self
            finally:
                self.over = True
                await asyncio.wait(tasks, timeout=PATIENCE)
                for task in tasks:
                    task.cancel()

    async def write(self, http: httpx.AsyncClient) -> None:
        """In either protocol in turn."""
        while not self.over:
            number = next(self.numbers)
            key = {**self.author.headers, "Idempotency-Key": f"write-{number}"}
            input = {"title": f"Post {number}", "content": CONTENT}
            id = None
            while not id and not self.over:
                id = await self.create(http, number, key, input)
                await asyncio.sleep(PAUSE if id else 5 * PAUSE)
            if id:
                self.acknowledged[number] = id

    async def create(self, http: httpx.AsyncClient, number: int, headers: dict[str, str], input: dict) -> str | None:
        if number % 2:
            response = await self.ask(http, "write", "/api/posts", input, headers)
            result = response and response.json()
            if response is not None and response.status_code == 409:
                return result["details"]["changed"][0]
            return result["data"]["id"] if response is not None and response.status_code == 201 else None
        response = await self.ask(http, "write", "/graphql", {"query": CREATE, "variables": {"input": input}}, headers)
        result = (response.json() if response is not None else {}) or {}
        if (result.get("data") or {}).get("createPost"):
            return result["data"]["createPost"]["id"]
        changed = [error["extensions"].get("details") or {} for error in result.get("errors", ())]
        return next((each["changed"][0] for each in changed if each.get("changed")), None)

    async def read(self, http: httpx.AsyncClient) -> None:
        while not self.over:
            await self.ask(http, "read", "/graphql", READ, {})
            await asyncio.sleep(PAUSE)

    async def ask(
        self, http: httpx.AsyncClient, kind: str, path: str, body: dict, headers: dict[str, str]
    ) -> httpx.Response | None:
        started = time.monotonic()
        try:
            response = await http.post(path, json=body, headers=headers)
            code = code_of(response)
        except httpx.TransportError as error:
            response, code = None, BROKEN if not isinstance(error, httpx.TimeoutException) else "hung"
        now = time.monotonic()
        self.longest = max(self.longest, now - started)
        self.codes[code] += 1
        if code == "ok":
            self.recent[kind] = now
        else:
            self.last_failure = now
        return response

    async def well(self) -> float:
        """Seconds until reads and writes do well again."""
        started = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while any(self.recent.get(kind, 0) <= started for kind in ("read", "write")):  # noqa: ASYNC110 - the clients know
                await asyncio.sleep(0.005)
        return time.monotonic() - started

    async def seen(self, number: int) -> None:
        """Until that many more writes are acknowledged."""
        wanted = len(self.acknowledged) + number
        async with asyncio.timeout(PATIENCE):
            while len(self.acknowledged) < wanted:  # noqa: ASYNC110 - the clients know
                await asyncio.sleep(0.005)


def code_of(response: httpx.Response) -> str:
    if response.status_code == 200 and response.json().get("errors"):
        return response.json()["errors"][0]["extensions"]["code"]
    if response.status_code < 300:
        return "ok"
    result = response.json()
    return (
        f"{response.status_code} {result['errors'][0]['extensions']['code'] if 'errors' in result else result['code']}"
    )


@dataclass(frozen=True)
class Kept:
    """What became of what was acknowledged."""

    lost: int
    twice: int
    without_event: int


async def kept(url: str, clients: Clients) -> Kept:
    """Each post with its one event, and no number written twice, acknowledged or not."""
    db = Database(url, pool_size=1)
    async with db.reading() as session:
        posts = {str(id) for id in await session.scalars(select(Post.id))}
        titles = (await session.execute(select(Post.title, func.count()).group_by(Post.title))).all()
        result = select(Event.post_id, func.count()).where(Event.type == "post.created").group_by(Event.post_id)
        events = {str(id): number for id, number in await session.execute(result)}
    await db.close()
    acknowledged = set(clients.acknowledged.values())
    twice = sum(number > 1 for _, number in titles) + sum(number > 1 for number in events.values())
    return Kept(len(acknowledged - posts), twice, len(posts - set(events)))

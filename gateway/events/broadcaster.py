"""The feed's fan-out: each piece of the log is encoded once, and written to every socket that may hear it.

A follower that cannot take its bytes at once leaves the round, and a task of its own sees it through, from the log,
until it has caught up; so nobody waits for it, and nothing gathers for it but what its socket holds.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager

import orjson

from gateway.events.entry import Entry
from gateway.events.log import EventLog
from gateway.events.subscriber import Subscriber, body_message
from gateway.limits.open_streams import RETRY_RANGE_MS, OpenStreams
from models import Viewer
from models.errors import APIError, CursorExpired, Unavailable

STALL = 10.0
"""Seconds that a follower may take over what it was sent, before it is disconnected with its cursor."""
SILENCE = 14.0
"""Seconds after which a follower is told that the connection stands; proxies close what is silent for longer."""
TICK = 1.0
TURN = 0.005
"""Seconds that a round may keep the event loop from others."""
FAREWELL = 2.0
"""Seconds that followers have to take their last bytes when the server goes."""

COMMENT = body_message(b": ping\n\n")
RESET = b'data: {"type":"reset"}\n\n'

logger = logging.getLogger("gateway.live")


class Broadcaster:
    """Everybody who follows the feed in this process."""

    def __init__(self, log: EventLog, streams: OpenStreams) -> None:
        self.log, self.streams = log, streams
        self.cursor = log.position
        """The live have heard everything up to here, or are about to."""
        log.on_rewind.add(self.start_over)
        self.followers: set[Subscriber] = set()
        self.up_to_date: set[Subscriber] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Broadcaster"]:
        work = self.broadcast_loop(), self.ping(), self.drain()
        tasks = [asyncio.create_task(each, name="feed") for each in work]
        try:
            yield self
        finally:
            tasks += [follower.task for follower in self.followers if follower.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def add(self, follower: Subscriber) -> None:
        """Have a follower hear what comes after its cursor."""
        self.followers.add(follower)
        follower.last_sent_at = time.monotonic()
        follower.guarded.revoked.add_done_callback(lambda ended: self.end(follower, error(ended.result())))
        if self.streams.is_draining:
            self.end(follower, retry_frame())
        elif follower.cursor >= self.cursor:
            self.mark_live(follower)
        else:
            self.catch_up_in_background(follower)

    def remove(self, follower: Subscriber) -> None:
        """Its client is gone."""
        self.followers.discard(follower)
        self.up_to_date.discard(follower)
        if follower.task:
            follower.task.cancel()

    def mark_live(self, follower: Subscriber) -> None:
        follower.has_caught_up = True
        self.up_to_date.add(follower)

    def end(self, follower: Subscriber, farewell: bytes) -> None:
        """Tell a follower one last thing, now or once it has taken what it is being sent."""
        if follower.final_frame is None:
            follower.final_frame = farewell
            if follower.task is None:
                self.close(follower)

    def close(self, follower: Subscriber) -> None:
        self.up_to_date.discard(follower)
        follower.is_closed = True
        self.tell(follower, body_message(follower.final_frame or b"", last=True))

    async def broadcast_loop(self) -> None:
        """Pass on what the log takes in, for as long as the server lives."""
        while True:
            try:
                await self.log.wait_for_growth(self.cursor)
                await self.broadcast(*await self.log.after(self.cursor))
            except Unavailable:
                await asyncio.sleep(TICK)
            except CursorExpired:
                self.cursor = self.log.position
            except Exception:
                logger.exception("A round of the feed failed; those whom it did not reach are disconnected, to resume")
                for follower in [each for each in self.up_to_date if each.cursor < self.cursor]:
                    follower.cut()

    async def broadcast(self, entries: list[Entry], cursor: int) -> None:
        """Send entries to everybody who is live, who then stand at a cursor; those that join meanwhile know them."""
        self.cursor = cursor
        authors = {entry.audience.author for entry in entries if not entry.audience.everyone}
        pieces: dict[object, bytes] = {}
        async for follower in self.iter_cooperatively(self.up_to_date):
            viewer = visibility_key(follower.guarded.viewer, authors)
            key = follower.cursor, follower.types, viewer
            body = pieces.get(key)
            if body is None:
                news = (entry for entry in entries if entry.id > follower.cursor)
                body = pieces[key] = follower.render(news, viewer)
            follower.cursor = max(follower.cursor, self.cursor)
            if body:
                self.tell(follower, body_message(body))

    def start_over(self) -> None:
        """The log went back: what everybody has heard is no part of it any more, and their cursors are no use."""
        self.cursor = self.log.position
        for follower in list(self.followers):
            if follower in self.up_to_date:
                follower.cursor = self.cursor
                self.tell(follower, body_message(RESET))
            else:
                follower.cut()

    async def iter_cooperatively(self, followers: Iterable[Subscriber]) -> AsyncIterator[Subscriber]:
        """Those who are live, letting others have the event loop now and then."""
        until = time.monotonic() + TURN
        for follower in list(followers):
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + TURN
            if follower in self.up_to_date:
                yield follower

    def tell(self, follower: Subscriber, message: dict) -> None:
        """Send a follower something without waiting for it."""
        try:
            remaining = follower.try_send(message)
        except Exception:
            logger.debug("A follower cannot be reached", exc_info=True)
            follower.cut()
        else:
            follower.last_sent_at = time.monotonic()
            if remaining:
                self.catch_up_in_background(follower, remaining)

    def catch_up_in_background(self, follower: Subscriber, remaining: Awaitable[None] | None = None) -> None:
        """Give a follower that is behind a task of its own, until it has caught up."""
        self.up_to_date.discard(follower)
        follower.task = asyncio.create_task(self.catch_up(follower, remaining), name="follower")

    async def catch_up(self, follower: Subscriber, remaining: Awaitable[None] | None) -> None:
        try:
            if remaining:
                await send_with_timeout(remaining)
            if follower.is_closed:
                return
            while follower.final_frame is None and follower.cursor < self.cursor:
                await self.send_next_page(follower)
            follower.task = None
            self._on_caught_up(follower)
        except TimeoutError:
            logger.info("A follower fell behind and was disconnected")
            follower.cut()
        except Exception:
            logger.exception("A follower could not be brought up to date, and was disconnected")
            follower.cut()

    async def send_next_page(self, follower: Subscriber) -> None:
        """Send the next page of what a follower has missed. One that was live and is now off memory is too slow."""
        if follower.has_caught_up and follower.cursor < self.log.oldest_cached_id:
            raise TimeoutError
        try:
            entries, cursor = await self.log.after(follower.cursor)
            body = follower.render(entries, follower.guarded.viewer)
        except CursorExpired:
            body, cursor = RESET, self.log.position
        if body:
            await send_with_timeout(follower.send(body_message(body)))
            follower.last_sent_at = time.monotonic()
        follower.cursor = cursor

    def _on_caught_up(self, follower: Subscriber) -> None:
        """A follower is where it should be: live, unless it has been told to go meanwhile."""
        if follower.final_frame is None:
            self.mark_live(follower)
        else:
            self.close(follower)

    async def ping(self) -> None:
        """Break every silence, by one task for all."""
        while True:
            await asyncio.sleep(TICK)
            late = time.monotonic() - SILENCE
            async for follower in self.iter_cooperatively(
                follower for follower in self.up_to_date if follower.last_sent_at < late
            ):
                self.tell(follower, COMMENT)

    async def drain(self) -> None:
        """When the server goes, tell everybody when to come back, and cut off who does not listen."""
        await asyncio.shield(self.streams.draining)
        for follower in list(self.followers):
            self.end(follower, retry_frame())
        await asyncio.sleep(FAREWELL)
        for follower in list(self.followers):
            follower.cut()


async def send_with_timeout(sending: Awaitable[None]) -> None:
    async with asyncio.timeout(STALL):
        await sending


def visibility_key(viewer: Viewer | None, authors: set) -> Viewer | None:
    """The viewer, if they may hear what not everyone hears; those who may not are all alike."""
    return viewer if viewer is not None and (viewer.is_admin or viewer.id in authors) else None


def error(refusal: APIError) -> bytes:
    return b"data: %b\n\n" % orjson.dumps({"type": "error", "code": refusal.code})


def retry_frame() -> bytes:
    return b"retry: %d\n\n" % random.randint(*RETRY_RANGE_MS)  # noqa: S311 - chance enough to keep clients apart

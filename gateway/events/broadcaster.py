"""The fan-out of the event log to the subscribers of the feed.

Entries are rendered once for all subscribers with the same filter and visibility, and written to each socket directly.
A subscriber whose socket is full leaves the broadcast; a task of its own sends it what it misses, from the log, until
it has caught up. So a slow subscriber delays no other and uses no memory beyond its socket's buffer.
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
from gateway.http.eager_send import send_with_timeout
from gateway.limits.open_streams import RETRY_RANGE_MS, OpenStreams
from models import Viewer
from models.errors import APIError, CursorExpired, Unavailable

HEARTBEAT_INTERVAL_SECONDS = 14.0
"""The longest silence before a comment is sent. Proxies close connections that are silent for longer."""
TICK_SECONDS = 1.0
MAX_BLOCKING_SECONDS = 0.005
"""How long a broadcast may run before it lets other tasks run."""
CLOSE_TIMEOUT_SECONDS = 2.0
"""How long subscribers have to receive their last frame at shutdown."""

HEARTBEAT = body_message(b": ping\n\n")
RESET_FRAME = b'data: {"type":"reset"}\n\n'

logger = logging.getLogger("gateway.live")


class Broadcaster:
    """All subscribers of the feed in this process."""

    def __init__(self, log: EventLog, streams: OpenStreams) -> None:
        self.log, self.streams = log, streams
        self.cursor = log.position
        """The position up to which entries were broadcast."""
        log.on_rewind.add(self.reset)
        self.subscribers: set[Subscriber] = set()
        self.up_to_date: set[Subscriber] = set()
        """The subscribers that receive broadcasts."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Broadcaster"]:
        work = self.broadcast_loop(), self.send_heartbeats(), self.drain()
        tasks = [asyncio.create_task(each, name="broadcast events") for each in work]
        try:
            yield self
        finally:
            tasks += [subscriber.task for subscriber in self.subscribers if subscriber.task]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def add(self, subscriber: Subscriber) -> None:
        """Send a subscriber the events after its cursor."""
        self.subscribers.add(subscriber)
        subscriber.last_sent_at = time.monotonic()
        subscriber.login_session.revoked.add_done_callback(
            lambda revoked: self.end(subscriber, error_frame(revoked.result()))
        )
        if self.streams.is_draining:
            self.end(subscriber, retry_frame())
        elif subscriber.cursor >= self.cursor:
            self.mark_up_to_date(subscriber)
        else:
            self.start_catching_up(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Remove a subscriber whose client has disconnected."""
        self.subscribers.discard(subscriber)
        self.up_to_date.discard(subscriber)
        if subscriber.task:
            subscriber.task.cancel()

    def mark_up_to_date(self, subscriber: Subscriber) -> None:
        subscriber.has_caught_up = True
        self.up_to_date.add(subscriber)

    def end(self, subscriber: Subscriber, final_frame: bytes) -> None:
        """End a stream with a last frame, after what is being sent."""
        if subscriber.final_frame is None:
            subscriber.final_frame = final_frame
            if subscriber.task is None:
                self.close(subscriber)

    def close(self, subscriber: Subscriber) -> None:
        self.up_to_date.discard(subscriber)
        subscriber.is_closed = True
        self.send(subscriber, body_message(subscriber.final_frame or b"", last=True))

    async def broadcast_loop(self) -> None:
        while True:
            try:
                await self.log.wait_for_growth(self.cursor)
                await self.broadcast(*await self.log.read_after(self.cursor))
            except Unavailable:
                await asyncio.sleep(TICK_SECONDS)
            except CursorExpired:
                self.cursor = self.log.position
            except Exception:
                logger.exception("Could not broadcast events; disconnecting the subscribers that missed them")
                for subscriber in [each for each in self.up_to_date if each.cursor < self.cursor]:
                    subscriber.abort()

    async def broadcast(self, entries: list[Entry], cursor: int) -> None:
        """Send entries to all subscribers that are up to date, and advance their cursors."""
        self.cursor = cursor  # first: subscribers that are added meanwhile have these entries already
        author_ids = {entry.visibility.owner_id for entry in entries if not entry.visibility.everyone}
        bodies: dict[object, bytes] = {}
        async for subscriber in self.iter_cooperatively(self.up_to_date):
            viewer = visibility_key(subscriber.login_session.viewer, author_ids)
            key = subscriber.cursor, subscriber.types, viewer
            body = bodies.get(key)
            if body is None:
                new_entries = (entry for entry in entries if entry.id > subscriber.cursor)
                body = bodies[key] = subscriber.render(new_entries, viewer)
            subscriber.cursor = max(subscriber.cursor, self.cursor)
            if body:
                self.send(subscriber, body_message(body))

    def reset(self) -> None:
        """Tell all subscribers to start again, because the log was rewound and their cursors are invalid."""
        self.cursor = self.log.position
        for subscriber in list(self.subscribers):
            if subscriber in self.up_to_date:
                subscriber.cursor = self.cursor
                self.send(subscriber, body_message(RESET_FRAME))
            else:
                subscriber.abort()

    async def iter_cooperatively(self, subscribers: Iterable[Subscriber]) -> AsyncIterator[Subscriber]:
        """Yield the subscribers that are up to date, and let other tasks run in between."""
        until = time.monotonic() + MAX_BLOCKING_SECONDS
        for subscriber in list(subscribers):
            if time.monotonic() > until:
                await asyncio.sleep(0)
                until = time.monotonic() + MAX_BLOCKING_SECONDS
            if subscriber in self.up_to_date:
                yield subscriber

    def send(self, subscriber: Subscriber, message: dict) -> None:
        """Send a message without waiting for the subscriber."""
        try:
            remaining = subscriber.try_send(message)
        except Exception:
            logger.debug("Could not send to a subscriber", exc_info=True)
            subscriber.abort()
        else:
            subscriber.last_sent_at = time.monotonic()
            if remaining:
                self.start_catching_up(subscriber, remaining)

    def start_catching_up(self, subscriber: Subscriber, remaining: Awaitable[None] | None = None) -> None:
        """Start the task of a subscriber that is behind. `remaining` sends the rest of a message."""
        self.up_to_date.discard(subscriber)
        subscriber.task = asyncio.create_task(self.catch_up(subscriber, remaining), name="catch up")

    async def catch_up(self, subscriber: Subscriber, remaining: Awaitable[None] | None) -> None:
        try:
            if remaining:
                await send_with_timeout(remaining)
            if subscriber.is_closed:
                return
            while subscriber.final_frame is None and subscriber.cursor < self.cursor:
                await self.send_next_page(subscriber)
            subscriber.task = None
            if subscriber.final_frame is None:
                self.mark_up_to_date(subscriber)
            else:
                self.close(subscriber)
        except TimeoutError:
            logger.info("Disconnected a subscriber that was too slow")
            subscriber.abort()
        except Exception:
            logger.exception("Could not bring a subscriber up to date; disconnecting it")
            subscriber.abort()

    async def send_next_page(self, subscriber: Subscriber) -> None:
        """Send the next page of what a subscriber has missed.

        Raises `TimeoutError` for one that was up to date and has fallen behind the entries in memory.
        """
        if subscriber.has_caught_up and subscriber.cursor < self.log.oldest_cached_id:
            raise TimeoutError
        try:
            entries, cursor = await self.log.read_after(subscriber.cursor)
            body = subscriber.render(entries, subscriber.login_session.viewer)
        except CursorExpired:
            body, cursor = RESET_FRAME, self.log.position
        if body:
            await send_with_timeout(subscriber.send(body_message(body)))
            subscriber.last_sent_at = time.monotonic()
        subscriber.cursor = cursor

    async def send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            due = time.monotonic() - HEARTBEAT_INTERVAL_SECONDS
            silent = [each for each in self.up_to_date if each.last_sent_at < due]
            async for subscriber in self.iter_cooperatively(silent):
                self.send(subscriber, HEARTBEAT)

    async def drain(self) -> None:
        """At shutdown, tell all subscribers when to reconnect, then disconnect the ones that do not leave."""
        await asyncio.shield(self.streams.draining)
        for subscriber in list(self.subscribers):
            self.end(subscriber, retry_frame())
        await asyncio.sleep(CLOSE_TIMEOUT_SECONDS)
        for subscriber in list(self.subscribers):
            subscriber.abort()


def visibility_key(viewer: Viewer | None, author_ids: set) -> Viewer | None:
    """Return the viewer if they may see more of the entries than everyone may, else None."""
    return viewer if viewer is not None and (viewer.is_admin or viewer.id in author_ids) else None


def error_frame(error: APIError) -> bytes:
    return b"data: %b\n\n" % orjson.dumps({"type": "error", "code": error.code})


def retry_frame() -> bytes:
    return b"retry: %d\n\n" % random.randint(*RETRY_RANGE_MS)  # noqa: S311 - spreads reconnections, no secret

"""One client of the feed: where it stands, what it wants to hear, and how to reach it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.types import Message, Send

from gateway.auth.session_monitor import MonitoredSession
from gateway.events.entry import Entry
from gateway.http.eager_send import send_eagerly
from models import Viewer

Types = frozenset[str] | None
"""The types of events that are wanted; None is all of them."""


class Subscriber:
    """There may be thousands: it has no queue and, but while it is behind, no task of its own."""

    __slots__ = (
        "cursor",
        "cut",
        "final_frame",
        "guarded",
        "has_caught_up",
        "is_closed",
        "last_sent_at",
        "send",
        "task",
        "types",
    )

    def __init__(
        self, send: Send, cut: Callable[[], Any], cursor: int, types: Types, guarded: MonitoredSession
    ) -> None:
        """`cut` breaks the connection, whatever is still to be sent over it."""
        self.send, self.cut, self.cursor, self.types, self.guarded = send, cut, cursor, types, guarded
        self.last_sent_at = 0.0
        """When it was last sent something, in seconds of the clock that never goes back."""
        self.has_caught_up = False
        self.final_frame: bytes | None = None
        """The last that it is told, once its stream is to end."""
        self.is_closed = False
        self.task: asyncio.Task[None] | None = None
        """Sees to it while it is behind."""

    def render(self, entries: Iterable[Entry], viewer: Viewer | None) -> bytes:
        """Of some entries those that this one hears, as the feed says them."""
        types = self.types
        heard = (entry for entry in entries if types is None or entry.type in types)
        return b"".join([entry.frame for entry in heard if entry.audience.includes(viewer)])

    def try_send(self, message: Message) -> Awaitable[None] | None:
        """Send it something at once; what its socket has no room for is left to be awaited."""
        return send_eagerly(self.send(message))


def body_message(body: bytes, *, last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not last}

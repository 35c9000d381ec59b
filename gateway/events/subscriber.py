"""One client of the event feed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from starlette.types import Message, Send

from gateway.auth.session_monitor import MonitoredSession
from gateway.events.entry import Entry
from gateway.http.eager_send import send_eagerly
from models import Viewer

Types = frozenset[str] | None
"""The event types that a client selects; None selects all."""


class Subscriber:
    """A client of the feed: its cursor, its filter and its connection.

    A process has thousands, so a subscriber has no queue, and a task only while it is behind.
    """

    __slots__ = (
        "abort",
        "cursor",
        "final_frame",
        "has_caught_up",
        "is_closed",
        "last_sent_at",
        "login_session",
        "send",
        "task",
        "types",
    )

    def __init__(
        self, send: Send, abort: Callable[[], Any], cursor: int, types: Types, login_session: MonitoredSession
    ) -> None:
        """`abort` closes the connection at once and discards what is still to be sent."""
        self.send, self.abort, self.cursor, self.types = send, abort, cursor, types
        self.login_session = login_session
        self.last_sent_at = 0.0
        """Seconds of `time.monotonic()`."""
        self.has_caught_up = False
        self.final_frame: bytes | None = None
        """The last frame to send, once the stream is to end."""
        self.is_closed = False
        self.task: asyncio.Task[None] | None = None
        """Sends what the subscriber has missed, while it is behind."""

    def render(self, entries: Iterable[Entry], viewer: Viewer | None) -> bytes:
        """Return the frames of the entries that match the filter and that the viewer may see."""
        types = self.types
        selected = (entry for entry in entries if types is None or entry.type in types)
        return b"".join([entry.frame for entry in selected if entry.visibility.includes(viewer)])

    def try_send(self, message: Message) -> Awaitable[None] | None:
        """Send what the socket has room for. Return an awaitable that sends the rest; None if there is none."""
        return send_eagerly(self.send(message))


def body_message(body: bytes, *, last: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not last}

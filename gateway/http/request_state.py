"""What is known of one request while it is being answered: what its answer, its errors and its log line carry."""

import random
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

KEY = "gateway.visit"
SANE_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
CLIENT_CLOSED_REQUEST = 499
"""Logged, after nginx's custom, for a client that left before there was an answer."""


def noop() -> None:
    """Nobody waits for the answer."""


@dataclass(slots=True)
class RequestState:
    """One request."""

    request_id: str
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """What its headers say, the first of each name. Starlette reads through all of them for each that it looks up."""
    operation: str | None = None
    """The name of its GraphQL operation."""
    operation_type: str = ""
    """That operation's type; of several in one body, `batch`."""
    stream: str = ""
    """What kind of stream its answer is, where it is one."""
    viewer: UUID | None = None
    cookies: Mapping[str, str] | None = None
    """The parsed cookies, once `http.cookies.get_cookies` was called."""
    send_body: bool = True
    """Not for a HEAD, which is answered as a GET otherwise."""
    caller: str = ""
    """Whose requests it counts among: a viewer's, or an address's."""
    client_key: str = ""
    """The same, whoever they say that they are: an address's."""
    status: int = CLIENT_CLOSED_REQUEST
    """What it is answered with, once that has begun."""
    on_response: Callable[[], None] = noop
    """Called when it begins."""
    codes: tuple[str, ...] = ()
    """What it was refused with."""
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """What its answer carries whatever it turns out to be, such as cookies."""
    points: int = 0
    """What it was charged."""
    limit_statuses: dict[str, Any] = field(default_factory=dict)
    """The `LimitStatus` of each limit that the request was counted in, by the limit's name."""

    @property
    def is_answered(self) -> bool:
        """Whether an answer has begun."""
        return self.status != CLIENT_CLOSED_REQUEST

    def start_response(self, status: int) -> None:
        """An answer begins."""
        self.status = status
        self.on_response()

    def header(self, name: bytes) -> str | None:
        """What it says in one of its headers."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def add_header(self, name: str, value: str) -> None:
        self.response_headers.append((name.encode("latin-1"), value.encode("latin-1")))


current: ContextVar[RequestState | None] = ContextVar("visit", default=None)
"""The request that is being answered, for log lines that know nothing else of it."""


def create_request_state(scope: Any) -> RequestState:
    """The visit of a request that has just come."""
    given = dict(reversed(scope["headers"]))
    visit = scope[KEY] = RequestState(request_id(given.get(b"x-request-id")), given)
    current.set(visit)
    return visit


def get_request_state(scope: Any) -> RequestState:
    return scope[KEY]


def request_id(given: bytes | None) -> str:
    """The caller's own id where it can be logged as it is, so that traces join; else a new one.

    It need be unique, not secret: chance that nobody can guess costs a call of the kernel's.
    """
    if given and SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return f"{random.getrandbits(128):032x}"

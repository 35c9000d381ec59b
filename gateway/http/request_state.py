"""The state of one request: the data that its response, its errors and its log line need."""

import random
import re
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

SCOPE_KEY = "gateway.request_state"
SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
CLIENT_CLOSED_REQUEST = 499
"""nginx's status in the log for a client that disconnected before the response started."""


def noop() -> None:
    """Do nothing when the response starts."""


@dataclass(slots=True)
class RequestState:
    """The state of one request or WebSocket."""

    request_id: str
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    """The first value of each header. Starlette searches the list of headers at each look-up."""
    operation: str | None = None
    """The name of the GraphQL operation."""
    operation_type: str = ""
    """`query`, `mutation` or `subscription`; `batch` for several in one body."""
    stream: str = ""
    """The kind of stream that the response is, for metrics; empty if it is none."""
    viewer: UUID | None = None
    cookies: Mapping[str, str] | None = None
    """The parsed cookies, once `http.cookies.get_cookies` was called."""
    send_body: bool = True
    """False for HEAD, which is handled as GET otherwise."""
    caller: str = ""
    """The key of rate limits: an API key, a viewer or an address (`limits.rate_limit_key`)."""
    client_key: str = ""
    """The key of rate limits that count by address even if there is a viewer."""
    status: int = CLIENT_CLOSED_REQUEST
    """The status of the response, once it has started."""
    on_response: Callable[[], None] = noop
    """Called when the response starts."""
    codes: tuple[str, ...] = ()
    """The codes of the errors in the response."""
    response_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Headers that are added to the response even if it is an error, such as cookies."""
    limit_statuses: dict[str, Any] = field(default_factory=dict)
    """The `LimitStatus` of each limit that the request was counted in, by the limit's name."""

    @property
    def is_answered(self) -> bool:
        """True once the response has started."""
        return self.status != CLIENT_CLOSED_REQUEST

    def start_response(self, status: int) -> None:
        """Record that the response starts."""
        self.status = status
        self.on_response()

    def header(self, name: bytes) -> str | None:
        """Return the first value of a header, or None."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the response, whatever it will be."""
        self.response_headers.append((name.encode("latin-1"), value.encode("latin-1")))


current: ContextVar[RequestState | None] = ContextVar("request_state", default=None)
"""The current request, for log lines."""


def create_request_state(scope: Any) -> RequestState:
    """Create the state of a new request, and store it in the scope."""
    headers = dict(reversed(scope["headers"]))
    state = scope[SCOPE_KEY] = RequestState(request_id(headers.get(b"x-request-id")), headers)
    current.set(state)
    return state


def get_request_state(scope: Any) -> RequestState:
    return scope[SCOPE_KEY]


def request_id(header: bytes | None) -> str:
    """Return the client's id if it is safe to log, so that traces can be joined; otherwise a new one.

    An id is unique, not secret: `secrets` would cost a system call.
    """
    if header and SAFE_REQUEST_ID.fullmatch(header):
        return header.decode("ascii")
    return f"{random.getrandbits(128):032x}"

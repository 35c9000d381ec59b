"""The innermost middleware: limits request bodies, and renders exceptions that nothing inside has handled."""

import logging
from asyncio import CancelledError
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.errors import error_response, to_api_error
from gateway.http.request_state import get_request_state
from models.errors import APIError, Unavailable

MAX_BUFFERED_BODIES = 128
"""Bodies of the maximum size that may be in memory at once; above it, senders get a 503."""
SHUTDOWN_MESSAGE = "The server is stopping; try again"

logger = logging.getLogger("gateway")


class TooLarge(HTTPException):
    """Raised while a body is read. FastAPI lets no other class of exceptions pass there."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyLimitMiddleware:
    """Rejects bodies above the limit with a 413."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, streaming_limits: Mapping[str, int]) -> None:
        """`streaming_limits`: the limits of paths whose bodies are not buffered, in bytes."""
        self.app, self.max_body_bytes, self.streaming_limits = app, max_body_bytes, streaming_limits
        self.memory = BodyMemory(MAX_BUFFERED_BODIES * max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        state, streaming_limit = get_request_state(scope), self.streaming_limits.get(scope["path"])
        limit, memory = (streaming_limit, None) if streaming_limit else (self.max_body_bytes, self.memory)
        body = Body(scope, receive, limit, memory)
        try:
            await self.app(scope, body.receive, send)
        except ClientDisconnect:
            logger.debug("The client of request %s disconnected", state.request_id)
        except CancelledError:  # only at the end of `SHUTDOWN_GRACE`; a client's disconnection cancels nothing
            if not state.is_answered:
                await error_response(scope, Unavailable(SHUTDOWN_MESSAGE))(scope, receive, send)
            raise
        except Exception as error:
            if state.is_answered or not isinstance(error, APIError | HTTPException):
                logger.exception("Request %s failed", state.request_id)
            if not state.is_answered:
                await error_response(scope, to_api_error(error))(scope, receive, send)
        finally:
            body.release()


def content_length(scope: Scope) -> int:
    """Return a body's declared length; 0 if there is none, or an invalid one."""
    length = get_request_state(scope).headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0


@dataclass(slots=True)
class BodyMemory:
    """The bytes of bodies in memory, of all requests that are handled."""

    limit: int
    size: int = 0


class Body:
    """The body of a request. Counts its bytes; rejects it in advance if its declared length is above the limit."""

    __slots__ = "inner", "limit", "memory", "scope", "size"

    def __init__(self, scope: Scope, receive: Receive, limit: int, memory: BodyMemory | None) -> None:
        self.scope, self.inner, self.limit, self.memory, self.size = scope, receive, limit, memory, 0

    async def receive(self) -> Message:
        if not self.size and content_length(self.scope) > self.limit:
            raise TooLarge
        message = await self.inner()
        size = len(message.get("body", b""))
        self.size += size
        if self.memory:
            self.memory.size += size
        if self.size > self.limit:
            raise TooLarge
        if self.memory and self.memory.size > self.memory.limit:
            raise Unavailable("Too many large requests at once; try again")
        return message

    def release(self) -> None:
        """Return the memory."""
        if self.memory:
            self.memory.size -= self.size

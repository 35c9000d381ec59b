"""Limits the size of request bodies, and renders the errors that no layer inside did."""

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

logger = logging.getLogger("gateway")

MOST_BODIES = 128
"""So many bodies of the greatest size may be in memory at once; who sends more of one then is told to come again."""
TOO_MANY_BODIES = "Too much is being sent at once; try again"

SHUTDOWN_MESSAGE = "The server is stopping; try again"


class TooLarge(HTTPException):
    """Raised while a body is read. It is an HTTPException because FastAPI lets only those pass at that point."""

    def __init__(self) -> None:
        super().__init__(413)


class BodyLimitMiddleware:
    """Innermost: stops bodies that are too large, and answers for whatever went wrong beneath."""

    def __init__(self, app: ASGIApp, max_body_bytes: int, apart: Mapping[str, int]) -> None:
        self.app, self.max_body_bytes = app, max_body_bytes
        self.apart = apart
        """The bounds of paths that have their own, and whose bodies nobody holds in memory."""
        self.held = BodyMemory(MOST_BODIES * max_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        visit, apart = get_request_state(scope), self.apart.get(scope["path"])
        body = Body(scope, receive, apart or self.max_body_bytes, None if apart else self.held)
        try:
            await self.app(scope, body.receive, send)
        except ClientDisconnect:
            logger.debug("Request %s was abandoned", visit.request_id)
        except CancelledError:  # the server's grace is over; whoever leaves by themselves is no cancellation
            if not visit.is_answered:
                await error_response(scope, Unavailable(SHUTDOWN_MESSAGE))(scope, receive, send)
            raise
        except Exception as error:
            if visit.is_answered or not isinstance(error, APIError | HTTPException):
                logger.exception("Request %s failed", visit.request_id)
            if not visit.is_answered:
                await error_response(scope, to_api_error(error))(scope, receive, send)
        finally:
            body.release()


def content_length(scope: Scope) -> int:
    """A body's length as its sender says; 0 where they do not, or talk nonsense."""
    length = get_request_state(scope).headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0


@dataclass(slots=True)
class BodyMemory:
    """How much of bodies is in memory, of all requests whose answer is not there yet."""

    most: int
    now: int = 0


class Body:
    """A request's body as it comes. Its bytes are counted; a length that was announced counts before the first."""

    __slots__ = "held", "inner", "most", "scope", "seen"

    def __init__(self, scope: Scope, receive: Receive, most: int, held: BodyMemory | None) -> None:
        self.scope, self.inner, self.most, self.held, self.seen = scope, receive, most, held, 0

    async def receive(self) -> Message:
        if not self.seen and content_length(self.scope) > self.most:
            raise TooLarge
        message = await self.inner()
        self.take(len(message.get("body", b"")))
        return message

    def take(self, size: int) -> None:
        self.seen += size
        if self.held:
            self.held.now += size
        if self.seen > self.most:
            raise TooLarge
        if self.held and self.held.now > self.held.most:
            raise Unavailable(TOO_MANY_BODIES)

    def release(self) -> None:
        """Nothing of it is wanted any more."""
        if self.held:
            self.held.now -= self.seen

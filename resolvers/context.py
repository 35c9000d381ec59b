"""What every operation is handed: who asks, where the data is, and what signs tokens."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from models import Database, Viewer
from models.errors import Forbidden, Unauthorized
from resolvers.ports import Payments
from resolvers.tokens import Claims, IssuedTokens, Tokens

Operation = TypeVar("Operation", bound=Callable[..., Any])


def requires_login(operation: Operation) -> Operation:
    """Marks an operation that strangers are refused before anybody looks at what they sent."""
    operation.signed_in_only = True
    return operation


def requires_check(check: Callable[..., Awaitable[None]]) -> Callable[[Operation], Operation]:
    """Marks what can be followed: with the same arguments, `check` refuses whoever may not before anything is told."""

    def mark(operation: Operation) -> Operation:
        operation.admitted_by = check
        return operation

    return mark


async def no_charge(points: int) -> None:
    """What a request of nobody's is charged, such as the server's own."""


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """One request's circumstances. Carries a database, never an open session."""

    db: Database
    tokens: Tokens
    payments: Payments | None = None
    viewer: Viewer | None = None
    session_id: UUID | None = None
    """The session (`sid`) that the viewer's access token belongs to."""
    expires_at: int | None = None
    """Unix seconds: when that token does."""
    key_id: UUID | None = None
    """The API key that it was, if it was one."""
    reads_only: bool = False
    request_id: str = ""
    charge: Callable[[int], Awaitable[None]] = no_charge
    """Takes points from the viewer's budget, or refuses; called before what they are for is done."""
    issued: IssuedTokens | None = None
    """What signing in or refreshing gave; the edge hands it out as cookies too, whatever the protocol."""

    def require_viewer(self) -> Viewer:
        """The viewer, of an operation that needs one."""
        if self.viewer is None:
            raise Unauthorized
        return self.viewer

    def require_write_access(self) -> None:
        """Refuse whoever showed what is good for reading only."""
        if self.reads_only:
            raise Forbidden("This API key may only read")

    def authenticate(self, claims: Claims) -> None:
        """The request is that of who sent this token."""
        self.viewer, self.session_id, self.expires_at = claims.viewer, claims.session_id, claims.expires_at
        self.key_id, self.reads_only = claims.key_id, claims.reads_only

    def sign_in(self, issued: IssuedTokens) -> IssuedTokens:
        """From here on the request is that of who has just signed in."""
        self.viewer, self.session_id, self.issued = issued.viewer, issued.session_id, issued
        return issued

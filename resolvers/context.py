"""The context of a request, which every operation receives."""

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
    """Mark an operation that rejects anonymous callers before their input is validated."""
    operation.signed_in_only = True
    return operation


def requires_check(check: Callable[..., Awaitable[None]]) -> Callable[[Operation], Operation]:
    """Mark a subscription. `check` gets the same arguments and raises if the viewer may not subscribe."""

    def mark(operation: Operation) -> Operation:
        operation.admitted_by = check
        return operation

    return mark


async def no_charge(points: int) -> None:
    """Charge nothing, for requests of the server itself."""


@dataclass(slots=True, kw_only=True)
class RequestContext:
    """The viewer, database and services of one request. Has no open transaction."""

    db: Database
    tokens: Tokens
    payments: Payments | None = None
    viewer: Viewer | None = None
    session_id: UUID | None = None
    """The login session (`sid`) of the access token."""
    expires_at: int | None = None
    """The expiry of the access token, in Unix seconds."""
    key_id: UUID | None = None
    """The API key of the request, if it was authenticated by one."""
    reads_only: bool = False
    request_id: str = ""
    charge: Callable[[int], Awaitable[None]] = no_charge
    """Charges cost points to the viewer's budget, before the work is done. Raises `RateLimited` if it is used up."""
    issued: IssuedTokens | None = None
    """The tokens of a login or refresh, which both protocols also set as cookies."""

    def require_viewer(self) -> Viewer:
        """Return the viewer, or raise `Unauthorized` for an anonymous request."""
        if self.viewer is None:
            raise Unauthorized
        return self.viewer

    def require_write_access(self) -> None:
        """Raise `Forbidden` if the API key has only the scope `read`."""
        if self.reads_only:
            raise Forbidden("This API key may only read")

    def authenticate(self, claims: Claims) -> None:
        """Set the viewer and session from the claims of a credential."""
        self.viewer, self.session_id, self.expires_at = claims.viewer, claims.session_id, claims.expires_at
        self.key_id, self.reads_only = claims.key_id, claims.reads_only

    def sign_in(self, issued: IssuedTokens) -> IssuedTokens:
        """Set the viewer and session of a user who has just logged in. Return the tokens."""
        self.viewer, self.session_id, self.issued = issued.viewer, issued.session_id, issued
        return issued

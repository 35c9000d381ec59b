"""Protocols of the external services that operations use. The gateway's adapters implement them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from models import Order, Role, Viewer


class Wakeup(Protocol):
    """Wakes the processes that follow the event log when it has new entries.

    A wake-up has no content. It may be lost or duplicated, because the log is also polled.
    """

    def notify(self) -> None:
        """Wake every process, including this one. Returns at once and never raises."""

    def listen(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[Any]:
        """Call `wake` on the event loop for every wake-up received inside this scope."""


@dataclass(frozen=True, slots=True)
class WorkingKey:
    """An API key that is not revoked, and its account with its current role."""

    id: UUID
    viewer: Viewer
    scopes: str
    expires_at: datetime | None


class Sessions(Protocol):
    """Looks up active login sessions, identities and API keys."""

    async def role(self, user_id: UUID, session_id: UUID) -> Role | None:
        """Return the account's current role; None if the account or the session has ended."""

    async def identity(self, issuer: str, subject: str) -> tuple[UUID, Viewer] | None:
        """Return the id of an identity and its account; None if it is unknown."""

    async def key(self, key_hash: str) -> WorkingKey | None:
        """Return the API key with a hash; None if there is none or it is revoked."""


class LanguageModel(Protocol):
    """A language model for chat."""

    def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        """Return the answer to some messages (`role`, `content`) in chunks. Closing the generator cancels the request.

        Raise `NotConfigured`, `Unavailable` if the model cannot be reached, and `UpstreamError` for other failures,
        also between chunks. The errors contain neither the provider's message nor the key.
        """


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """A checkout session, with the URL where an order is paid. `amount_total` is in the currency's smallest unit."""

    id: str
    url: str
    amount_total: int | None
    currency: str | None


class Payments(Protocol):
    """A payment provider. It reports the outcome of payments by webhooks."""

    def accepts_price(self, price_id: str) -> bool:
        """Return whether a price is allowed, as far as the server's settings tell."""

    async def create_session(self, order: Order, *, recurring: bool, success: str, cancel: str) -> PaymentPage:
        """Create the checkout session of an order, or return the existing one.

        Raise `ValidationError` if the order cannot be bought, else `UpstreamError` or `Unavailable`.
        """


class WebhookVerifier(Protocol):
    """Verifies the signatures of webhooks."""

    def verify(self, body: bytes, signature: str | None) -> None:
        """Raise `InvalidSignature` if the signature is missing, wrong or too old, or `NotConfigured`."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in storage."""

    name: str
    modified: datetime


class StorageUnavailable(Exception):
    """The cause of an `Unavailable` error of storage, for the log."""


class Storage(Protocol):
    """Stores files by name, completely or not at all. Methods raise `Unavailable` if the storage cannot be reached."""

    async def put(self, name: str, content: BinaryIO) -> None:
        """Store a file, reading it from its start. It is durable when this returns."""

    async def open(self, name: str, start: int, stop: int) -> AsyncIterator[bytes] | None:
        """Return the bytes from `start` up to, excluding, `stop` in chunks; None if there is no such file."""

    async def size(self, name: str) -> int | None:
        """Return the size of a file in bytes; None if there is no such file."""

    async def remove(self, names: Iterable[str]) -> None:
        """Remove files, ignoring those that do not exist."""

    def list_files(self) -> AsyncIterator[StoredFile]:
        """Iterate over all stored files."""

    async def delete_incomplete(self, before: datetime) -> None:
        """Remove what incomplete writes left before a time."""

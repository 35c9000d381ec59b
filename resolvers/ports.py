"""What the service needs from the world around it; the gateway's adapters are the real things."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from models import Order, Role, Viewer


class Wakeup(Protocol):
    """Carries word between processes that the event log has grown.

    The word says nothing else, may come twice, and may be lost: the log is the truth, and is looked at now and then
    whatever is heard.
    """

    def notify(self) -> None:
        """Tell every process, this one included. Returns at once, and never fails."""

    def listen(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[Any]:
        """Have `wake` called, on the event loop, for every word that comes while in the scope."""


@dataclass(frozen=True, slots=True)
class WorkingKey:
    """An API key that was not revoked, and whom it acts as, with the role of this moment."""

    id: UUID
    viewer: Viewer
    scopes: str
    expires_at: datetime | None


class Sessions(Protocol):
    """Knows which sessions live, and whom identities and API keys belong to."""

    async def role(self, user_id: UUID, session_id: UUID) -> Role | None:
        """The account's role of this moment; None once the account or the session has ended."""

    async def identity(self, issuer: str, subject: str) -> tuple[UUID, Viewer] | None:
        """Whose an identity is, and its own id; None if nobody has been seen by that name."""

    async def key(self, key_hash: str) -> WorkingKey | None:
        """The API key with that hash."""


class LanguageModel(Protocol):
    """Goes on with conversations."""

    def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        """What comes after these messages (`role`, `content`), in pieces. Closing the generator gives the call up.

        Refuses with `NotConfigured`, `Unavailable` where the model cannot be reached, and `UpstreamError` for whatever
        else goes wrong, at any time; never in the model's words, nor with anything of the key.
        """


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """Where one order is paid. `amount_total` is in the currency's smallest unit."""

    id: str
    url: str
    amount_total: int | None
    currency: str | None


class Payments(Protocol):
    """Takes money for orders. What became of them it tells later, by webhooks."""

    def accepts_price(self, price_id: str) -> bool:
        """Whether a price may be bought here, as far as that is known without asking."""

    async def create_session(self, order: Order, *, recurring: bool, success: str, cancel: str) -> PaymentPage:
        """A page where an order is paid, the same however often it is asked for.

        Refuses with `ValidationError` what cannot be bought, `UpstreamError` and `Unavailable`.
        """


class WebhookVerifier(Protocol):
    """Knows who signed what we are told."""

    def verify(self, body: bytes, signature: str | None) -> None:
        """Refuses with `InvalidSignature` what the payment provider did not sign, or not lately; `NotConfigured`."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A thing in storage."""

    name: str
    modified: datetime


class StorageUnavailable(Exception):
    """Why files cannot be reached: what stands behind the `Unavailable` that clients hear, for operators."""


class Storage(Protocol):
    """Keeps files by name, whole or not at all. What cannot be reached refuses with `Unavailable`."""

    async def put(self, name: str, content: BinaryIO) -> None:
        """Keep a file, read from its start; it is there, for good, once this returns."""

    async def open(self, name: str, start: int, stop: int) -> AsyncIterator[bytes] | None:
        """The bytes from `start` to before `stop`, piece by piece; None if there is no such file."""

    async def size(self, name: str) -> int | None:
        """How many bytes a file has; None if there is no such file."""

    async def remove(self, names: Iterable[str]) -> None:
        """Have these files be gone, whether they were there or not."""

    def list_files(self) -> AsyncIterator[StoredFile]:
        """Everything that is kept."""

    async def delete_incomplete(self, before: datetime) -> None:
        """Remove what writes that never ended left behind, where that does not go by itself."""

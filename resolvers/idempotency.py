"""Requests that their senders name, so that one sent twice takes effect once.

The name is claimed in the transaction of the effect: both are there, or neither is, wherever a server dies.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, IdempotencyKey, utcnow
from models.database.upserts import insert_ignore
from models.errors import Conflict, IdempotencyMismatch

KEPT = timedelta(hours=24)

UNANSWERED = "A request with this Idempotency-Key took effect, and has no answer to repeat; read what it changed"


@dataclass(slots=True)
class Claim:
    """A request's name, and whether its effect is this request's own."""

    viewer_id: UUID
    key: str
    fingerprint: str
    effects: int = 0
    """How many transactions of this request have committed, and stand."""
    is_conflict: bool = False
    """Whether another request with this name came first."""
    changed: list[str] = field(default_factory=list)

    @property
    def is_claimed(self) -> bool:
        """Whether the name is this request's."""
        return self.effects > 0

    def key_filter(self) -> tuple:
        return IdempotencyKey.viewer_id == self.viewer_id, IdempotencyKey.key == self.key


class IdempotentDatabase:
    """The database, as operations of a named request use it."""

    def __init__(self, db: Database, claim: Claim) -> None:
        self.db, self.claim, self.reading = db, claim, db.reading

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """One transaction, in which the name is claimed before anything is done."""
        async with self.db.writing() as session:
            if not self.claim.is_claimed:
                await claim_key(session, self.claim)
            yield session
            await record_changes(session, self.claim)
        self.claim.effects += 1

    @asynccontextmanager
    async def compensating(self) -> AsyncIterator[AsyncSession]:
        """One transaction that takes the one before it back. Where nothing else was done, the name is free again."""
        async with self.db.writing() as session:
            yield session
            if self.claim.effects == 1:
                self.claim.changed = []
                await session.execute(delete(IdempotencyKey).where(*self.claim.key_filter()))
        self.claim.effects -= 1


async def claim_key(session: AsyncSession, claim: Claim) -> None:
    """Claim the name, or refuse; on Postgres this waits for whoever has claimed it and has not committed yet.

    Lost once, it is lost for good: whoever has it may give it back between one field of a mutation and the next.
    """
    mine = {"viewer_id": claim.viewer_id, "key": claim.key, "fingerprint": claim.fingerprint}
    if claim.is_conflict or not await insert_ignore(session, IdempotencyKey(**mine)):
        claim.is_conflict = True
        raise Conflict(UNANSWERED)


async def record_changes(session: AsyncSession, claim: Claim) -> None:
    """Keep the ids of what this transaction's events are about, with them."""
    if ids := [str(event.entity_id) for event in session.info["events"]]:
        claim.changed = [*dict.fromkeys([*claim.changed, *ids])]
        await session.execute(update(IdempotencyKey).where(*claim.key_filter()).values(changed=claim.changed))


async def find(db: Database, claim: Claim) -> IdempotencyKey | None:
    """The first request with this name, if its effect is there. Refuses a name that was given to something else."""
    async with db.reading() as session:
        known = await session.scalar(select(IdempotencyKey).where(*claim.key_filter()))
    if known is not None and known.fingerprint != claim.fingerprint:
        raise IdempotencyMismatch
    return known


async def store(db: Database, claim: Claim, status: int, headers: dict[str, str], body: bytes) -> None:
    """Keep the answer for whoever asks again."""
    answer = update(IdempotencyKey).where(*claim.key_filter()).values(status=status, headers=headers, body=body)
    async with db.writing() as session:
        await session.execute(answer)


async def delete_expired(db: Database, older_than: timedelta = KEPT) -> int:
    """Forget names that nobody will give again; says how many."""
    async with db.writing() as session:
        old = delete(IdempotencyKey).where(IdempotencyKey.created_at < utcnow() - older_than)
        return (await session.execute(old)).rowcount

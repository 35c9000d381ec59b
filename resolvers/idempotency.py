"""Idempotency keys: a request that is sent twice with the same key takes effect once.

The key is claimed in the transaction of the effect, so that a crash leaves both or neither.
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

RETENTION = timedelta(hours=24)

NO_STORED_RESPONSE = "A request with this Idempotency-Key took effect, but has no stored response; read what it changed"


@dataclass(slots=True)
class Claim:
    """The idempotency key of a request, and what is known about the request that claimed it."""

    viewer_id: UUID
    key: str
    fingerprint: str
    effects: int = 0
    """The number of committed transactions of this request, without those that were undone."""
    is_conflict: bool = False
    """True if another request claimed the key first."""
    changed: list[str] = field(default_factory=list)

    @property
    def is_claimed(self) -> bool:
        """True if this request claimed the key."""
        return self.effects > 0

    def key_filter(self) -> tuple:
        return IdempotencyKey.viewer_id == self.viewer_id, IdempotencyKey.key == self.key


class IdempotentDatabase:
    """The database of a request with an idempotency key."""

    def __init__(self, db: Database, claim: Claim) -> None:
        self.db, self.claim, self.reading = db, claim, db.reading

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that claims the key first."""
        async with self.db.writing() as session:
            if not self.claim.is_claimed:
                await claim_key(session, self.claim)
            yield session
            await record_changes(session, self.claim)
        self.claim.effects += 1

    @asynccontextmanager
    async def compensating(self) -> AsyncIterator[AsyncSession]:
        """Open a transaction that undoes the previous one. Release the key if nothing else was done."""
        async with self.db.writing() as session:
            yield session
            if self.claim.effects == 1:
                self.claim.changed = []
                await session.execute(delete(IdempotencyKey).where(*self.claim.key_filter()))
        self.claim.effects -= 1


async def claim_key(session: AsyncSession, claim: Claim) -> None:
    """Claim the key or raise `Conflict`. Postgres waits for another transaction that has claimed it.

    After a conflict, all later fields of the mutation fail as well, even if the other request releases the key.
    """
    values = {"viewer_id": claim.viewer_id, "key": claim.key, "fingerprint": claim.fingerprint}
    if claim.is_conflict or not await insert_ignore(session, IdempotencyKey(**values)):
        claim.is_conflict = True
        raise Conflict(NO_STORED_RESPONSE)


async def record_changes(session: AsyncSession, claim: Claim) -> None:
    """Store the ids of the entities that the transaction's events are about."""
    if ids := [str(event.entity_id) for event in session.info["events"]]:
        claim.changed = [*dict.fromkeys([*claim.changed, *ids])]
        await session.execute(update(IdempotencyKey).where(*claim.key_filter()).values(changed=claim.changed))


async def find(db: Database, claim: Claim) -> IdempotencyKey | None:
    """Return the stored request with this key, if any. Raise `IdempotencyMismatch` if it is a different request."""
    async with db.reading() as session:
        stored = await session.scalar(select(IdempotencyKey).where(*claim.key_filter()))
    if stored is not None and stored.fingerprint != claim.fingerprint:
        raise IdempotencyMismatch
    return stored


async def store(db: Database, claim: Claim, status: int, headers: dict[str, str], body: bytes) -> None:
    """Store the response, for repetitions of the request."""
    statement = update(IdempotencyKey).where(*claim.key_filter()).values(status=status, headers=headers, body=body)
    async with db.writing() as session:
        await session.execute(statement)


async def delete_expired(db: Database, older_than: timedelta = RETENTION) -> int:
    """Delete old idempotency keys. Return their number."""
    async with db.writing() as session:
        statement = delete(IdempotencyKey).where(IdempotencyKey.created_at < utcnow() - older_than)
        return (await session.execute(statement)).rowcount

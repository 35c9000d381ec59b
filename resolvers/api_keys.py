"""API keys: what machines show instead of signing in. Each acts as an account, within its scopes, until it is revoked.

A key is `dvt_`, 32 characters of chance, and 6 that are a checksum of all before: so one that leaked is found by its
form, and one that was mistyped is refused without a look at the database.
"""

import re
import secrets
import string
import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Select, or_, select, update

from models import ApiKey, Database, User, utcnow
from models.database.transaction import Transaction
from models.errors import NotFound, Unauthorized
from resolvers.accounts import normalize_email_or_raw
from resolvers.inputs import Input, PersonName
from resolvers.ports import Sessions
from resolvers.tokens import Claims, hash_token

PREFIX = "dvt_"
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH, CHECKSUM_LENGTH = 32, 6
PATTERN = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")
USE_RESOLUTION = timedelta(minutes=1)
"""How often it is noted at most that a key was used."""
INVALID_KEY = "The API key is not valid, has expired or was revoked"


class Scope(Enum):
    READ = "read"
    WRITE = "write"


class NewKey(Input):
    """What a key is for, what it may do, and how long."""

    name: PersonName
    scopes: frozenset[Scope]
    life: timedelta | None = None


def new_key() -> str:
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + checksum(body)


def checksum(body: str) -> str:
    """The CRC-32 of a key's other characters, in six of base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_well_formed(key: str) -> bool:
    return bool(PATTERN.fullmatch(key)) and checksum(key[:-CHECKSUM_LENGTH]) == key[-CHECKSUM_LENGTH:]


async def create(db: Database, input: NewKey, email: str | None = None) -> str:
    """A key for the account that has the address, or else for an account of its own. It cannot be shown again."""
    key, life = new_key(), input.life
    async with db.writing() as session:
        user_id = await resolve_account(session, input.name, email)
        scopes = ",".join(scope.value for scope in Scope if scope in input.scopes | {Scope.READ})
        kept = {"name": input.name, "user_id": user_id, "key_hash": hash_token(key), "scopes": scopes}
        session.add(ApiKey(**kept, expires_at=life and utcnow() + life))
    return key


async def resolve_account(session: Transaction, name: str, email: str | None) -> UUID:
    """Whom a key acts as. An account of its own has no address, so nobody signs in to it."""
    if email is None:
        user = User(name=name)
        session.add(user)
        await session.flush()
        return user.id
    found = await session.scalar(select(User.id).where(User.email == normalize_email_or_raw(email.strip())))
    if found is None:
        raise NotFound(f"No account has the address {email}")
    return found


async def list_keys(db: Database) -> Sequence[Any]:
    """All keys with their accounts, the newest first; `(ApiKey, User)` each."""
    async with db.reading() as session:
        keys = select(ApiKey, User).join(User, User.id == ApiKey.user_id).order_by(ApiKey.id.desc())
        return (await session.execute(keys)).all()


async def revoke(db: Database, named: str) -> None:
    """End a key at once. It is named by its id, or by itself, as who found a leaked one knows no more."""
    async with db.writing() as session:
        change = update(ApiKey).where(match_key(named), ApiKey.revoked_at.is_(None)).values(revoked_at=utcnow())
        if not (await session.execute(change)).rowcount:
            raise NotFound("No API key that still works is named so")


def match_key(named: str) -> ColumnElement[bool]:
    try:
        return ApiKey.id == UUID(named)
    except ValueError:
        return ApiKey.key_hash == hash_token(named)


async def authenticate(sessions: Sessions, key: str) -> Claims:
    """Whom a key acts as, with the role of this moment."""
    found = await sessions.key(hash_token(key)) if is_well_formed(key) else None
    if found is None or (found.expires_at is not None and found.expires_at <= utcnow()):
        raise Unauthorized(INVALID_KEY)
    ends = None if found.expires_at is None else int(found.expires_at.timestamp())
    reads_only = Scope.WRITE.value not in found.scopes.split(",")
    return Claims(found.viewer, found.id, ends, key_id=found.id, reads_only=reads_only)


def active_key(key_hash: str | BindParameter[str]) -> Select[Any]:
    """The key with that hash, unless it was revoked: as `WorkingKey` has it, with its account and the role of that."""
    columns = ApiKey.id, ApiKey.user_id, User.role, ApiKey.scopes, ApiKey.expires_at
    wanted = select(*columns).join(User, User.id == ApiKey.user_id)
    return wanted.where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None))


async def record_use(db: Database, moments: Mapping[UUID, datetime]) -> None:
    """Keep when keys were used, unless another server just did."""
    async with db.writing() as session:
        for id, moment in moments.items():
            stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= moment - USE_RESOLUTION)
            await session.execute(update(ApiKey).where(ApiKey.id == id, stale).values(last_used_at=moment))


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Raises `ValueError` for a name that is none."""
    return frozenset(Scope(name) for name in names)

"""API keys: credentials for machines. Each acts as an account, within its scopes, until it expires or is revoked.

A key is `dvt_`, 32 random characters and a checksum of 6. Secret scanners recognise a leaked key by this pattern, and a
mistyped key is rejected without a database query.
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
from sqlalchemy.ext.asyncio import AsyncSession

from models import ApiKey, Database, User, utcnow
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
"""`last_used_at` is written once in this time at most."""
INVALID_KEY = "The API key is not valid, has expired or was revoked"


class Scope(Enum):
    READ = "read"
    WRITE = "write"


class NewKey(Input):
    """The name, scopes and lifetime of a new API key."""

    name: PersonName
    scopes: frozenset[Scope]
    lifetime: timedelta | None = None


def new_key() -> str:
    body = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + checksum(body)


def checksum(body: str) -> str:
    """Return the CRC-32 of a key's other characters as six digits of base 62."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def is_well_formed(key: str) -> bool:
    return bool(PATTERN.fullmatch(key)) and checksum(key[:-CHECKSUM_LENGTH]) == key[-CHECKSUM_LENGTH:]


async def create(db: Database, input: NewKey, email: str | None = None) -> str:
    """Create a key for the account with an email address, or for a new account of its own.

    Return the key. Only its hash is stored, so it cannot be shown again.
    """
    key, lifetime = new_key(), input.lifetime
    async with db.writing() as session:
        user_id = await resolve_account(session, input.name, email)
        scopes = ",".join(scope.value for scope in Scope if scope in input.scopes | {Scope.READ})
        expires_at = lifetime and utcnow() + lifetime
        session.add(
            ApiKey(name=input.name, user_id=user_id, key_hash=hash_token(key), scopes=scopes, expires_at=expires_at)
        )
    return key


async def resolve_account(session: AsyncSession, name: str, email: str | None) -> UUID:
    """Return the id of the account that a key acts as.

    Without an email address, create one. It has no address either, so it cannot log in.
    """
    if email is None:
        user = User(name=name)
        session.add(user)
        await session.flush()
        return user.id
    found = await session.scalar(select(User.id).where(User.email == normalize_email_or_raw(email.strip())))
    if found is None:
        raise NotFound(f"No account has the email address {email}")
    return found


async def list_keys(db: Database) -> Sequence[Any]:
    """Return all keys with their accounts, newest first, as rows of `(ApiKey, User)`."""
    async with db.reading() as session:
        keys = select(ApiKey, User).join(User, User.id == ApiKey.user_id).order_by(ApiKey.id.desc())
        return (await session.execute(keys)).all()


async def revoke(db: Database, id_or_key: str) -> None:
    """Revoke a key at once, by its id, or by its text, which is all that the finder of a leaked key has."""
    async with db.writing() as session:
        statement = update(ApiKey).where(match_key(id_or_key), ApiKey.revoked_at.is_(None)).values(revoked_at=utcnow())
        if not (await session.execute(statement)).rowcount:
            raise NotFound("No active API key has that id")


def match_key(id_or_key: str) -> ColumnElement[bool]:
    try:
        return ApiKey.id == UUID(id_or_key)
    except ValueError:
        return ApiKey.key_hash == hash_token(id_or_key)


async def authenticate(sessions: Sessions, key: str) -> Claims:
    """Return the claims of a key, with its account's current role, or raise `Unauthorized`."""
    found = await sessions.key(hash_token(key)) if is_well_formed(key) else None
    if found is None or (found.expires_at is not None and found.expires_at <= utcnow()):
        raise Unauthorized(INVALID_KEY)
    expires_at = None if found.expires_at is None else int(found.expires_at.timestamp())
    reads_only = Scope.WRITE.value not in found.scopes.split(",")
    return Claims(found.viewer, found.id, expires_at, key_id=found.id, reads_only=reads_only)


def active_key(key_hash: str | BindParameter[str]) -> Select[Any]:
    """Select the columns of `WorkingKey` for the key with a hash, unless it is revoked."""
    columns = ApiKey.id, ApiKey.user_id, User.role, ApiKey.scopes, ApiKey.expires_at
    query = select(*columns).join(User, User.id == ApiKey.user_id)
    return query.where(ApiKey.key_hash == key_hash, ApiKey.revoked_at.is_(None))


async def record_use(db: Database, used_at: Mapping[UUID, datetime]) -> None:
    """Write when keys were used, unless another server has just done so."""
    async with db.writing() as session:
        for id, timestamp in used_at.items():
            stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at <= timestamp - USE_RESOLUTION)
            await session.execute(update(ApiKey).where(ApiKey.id == id, stale).values(last_used_at=timestamp))


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Raise `ValueError` for an unknown scope."""
    return frozenset(Scope(name) for name in names)

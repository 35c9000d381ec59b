"""API keys for tests."""

from datetime import timedelta

from sqlalchemy import select

from models import ApiKey, Database
from resolvers import api_keys
from resolvers.api_keys import NewKey, Scope
from resolvers.tokens import hash_token
from tests.support.accounts import Account

READ_ONLY, READ_WRITE = frozenset({Scope.READ}), frozenset(Scope)


async def create_machine(
    db: Database,
    scopes: frozenset[Scope] = READ_WRITE,
    acting_as: Account | None = None,
    lifetime: timedelta | None = None,
) -> Account:
    """Return an account whose bearer token is a new API key."""
    key = await api_keys.create(
        db, NewKey(name="A machine", scopes=scopes, lifetime=lifetime), acting_as and acting_as.email
    )
    row = await get_key_row(db, key)
    return Account(str(row.user_id), acting_as.name if acting_as else "A machine", "", key, "")


async def get_key_row(db: Database, key: str) -> ApiKey:
    async with db.reading() as session:
        return (await session.scalars(select(ApiKey).where(ApiKey.key_hash == hash_token(key)))).one()

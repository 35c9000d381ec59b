"""API keys for tests."""

from datetime import timedelta

from sqlalchemy import select

from models import ApiKey, Database
from resolvers import api_keys
from resolvers.api_keys import NewKey, Scope
from resolvers.tokens import hash_token
from tests.support.accounts import Account

READ, BOTH = frozenset({Scope.READ}), frozenset(Scope)


async def machine(
    db: Database, scopes: frozenset[Scope] = BOTH, acting_as: Account | None = None, life: timedelta | None = None
) -> Account:
    """A machine as an account that is signed in: its key is what it bears."""
    wanted = NewKey(name="A machine", scopes=scopes, life=life)
    key = await api_keys.create(db, wanted, acting_as and acting_as.email)
    row = await kept(db, key)
    return Account(str(row.user_id), acting_as.name if acting_as else "A machine", "", key, "")


async def kept(db: Database, key: str) -> ApiKey:
    """What the database has of a key."""
    async with db.reading() as session:
        return (await session.scalars(select(ApiKey).where(ApiKey.key_hash == hash_token(key)))).one()

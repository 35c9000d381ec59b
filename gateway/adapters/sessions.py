"""Session, identity and API key look-ups on the read connections."""

from uuid import UUID

from sqlalchemy import String, bindparam, select

from gateway.graphql.database import ReadDatabase
from gateway.graphql.database.prepared import PreparedQuery, row_or_nulls
from models import RefreshToken, Role, User, Viewer
from resolvers import api_keys, identities
from resolvers.accounts import active_session_role
from resolvers.ports import WorkingKey

ROLE = select(
    active_session_role(
        bindparam("user_id", type_=User.id.type), bindparam("session_id", type_=RefreshToken.family_id.type)
    )
    .scalar_subquery()
    .label("role")
)
IDENTITY = row_or_nulls(
    identities.identity_query(bindparam("issuer", type_=String()), bindparam("subject", type_=String()))
)
API_KEY = row_or_nulls(api_keys.active_key(bindparam("key_hash", type_=String())))


class SessionLookup:
    """Implements `resolvers.ports.Sessions`. Queries on each request, so a logout or a new role applies at once."""

    def __init__(self, reads: ReadDatabase) -> None:
        self.role_query = PreparedQuery(reads, ROLE)
        self.identity_query, self.key_query = PreparedQuery(reads, IDENTITY), PreparedQuery(reads, API_KEY)

    async def role(self, user_id: UUID, session_id: UUID) -> Role | None:
        (role,) = await self.role_query.fetch_row(user_id=user_id, session_id=session_id)
        return role and Role[role]

    async def identity(self, issuer: str, subject: str) -> tuple[UUID, Viewer] | None:
        id, user_id, role = await self.identity_query.fetch(issuer=issuer, subject=subject)
        return id and (id, Viewer(user_id, role))

    async def key(self, key_hash: str) -> WorkingKey | None:
        id, user_id, role, scopes, expires_at = await self.key_query.fetch(key_hash=key_hash)
        return id and WorkingKey(id, Viewer(user_id, role), scopes, expires_at)

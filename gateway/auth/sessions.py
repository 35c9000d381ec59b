"""Whether sessions live, as the database has it at this moment."""

from uuid import UUID

from sqlalchemy import String, bindparam, select

from gateway.graphql.database import ReadDatabase
from gateway.graphql.database.prepared import Prepared, at_most_one
from models import RefreshToken, Role, User, Viewer
from resolvers import api_keys, identities
from resolvers.accounts import living
from resolvers.ports import WorkingKey

ROLE = select(
    living(bindparam("user_id", type_=User.id.type), bindparam("session_id", type_=RefreshToken.family_id.type))
    .scalar_subquery()
    .label("role")
)

IDENTITY = at_most_one(identities.named(bindparam("issuer", type_=String()), bindparam("subject", type_=String())))
KEY = at_most_one(api_keys.working(bindparam("key_hash", type_=String())))


class Sessions:
    """Asks on each request: who logs out anywhere, or loses a role, has done so everywhere at once."""

    def __init__(self, reads: ReadDatabase) -> None:
        self.asked = Prepared(reads, ROLE)
        self.identities, self.keys = Prepared(reads, IDENTITY), Prepared(reads, KEY)

    async def role(self, user_id: UUID, session_id: UUID) -> Role | None:
        (role,) = await self.asked.row(user_id=user_id, session_id=session_id)
        return role and Role[role]

    async def identity(self, issuer: str, subject: str) -> tuple[UUID, Viewer] | None:
        id, user_id, role = await self.identities.values(issuer=issuer, subject=subject)
        return id and (id, Viewer(user_id, role))

    async def key(self, key_hash: str) -> WorkingKey | None:
        id, user_id, role, scopes, expires_at = await self.keys.values(key_hash=key_hash)
        return id and WorkingKey(id, Viewer(user_id, role), scopes, expires_at)

"""Whether sessions live, as the database has it at this moment."""

from uuid import UUID

from sqlalchemy import bindparam, select

from gateway.graphql.databases import ReadDatabase
from gateway.graphql.prepared import Prepared
from models import RefreshToken, Role, User
from resolvers.accounts import living

ROLE = select(
    living(bindparam("user_id", type_=User.id.type), bindparam("session_id", type_=RefreshToken.family_id.type))
    .scalar_subquery()
    .label("role")
)


class Sessions:
    """Asks on each request: who logs out anywhere, or loses a role, has done so everywhere at once."""

    def __init__(self, reads: ReadDatabase) -> None:
        self.asked = Prepared(reads, ROLE)

    async def role(self, user_id: UUID, session_id: UUID) -> Role | None:
        (role,) = await self.asked.row(user_id=user_id, session_id=session_id)
        return role and Role[role]

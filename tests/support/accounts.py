"""Accounts for tests, signed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy import update

from models import Database, RefreshToken, Role, User, Viewer, new_id, utcnow
from resolvers import passwords
from resolvers.tokens import Tokens, hash_token, new_refresh_token

PRODUCTION_HASHER = passwords.HASHER
"""As servers hash passwords."""
FAST_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""As servers in this process do, for there are more sign-ins in the tests than guesses to fear."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user with a session."""

    id: str
    name: str
    email: str
    access_token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}

    @property
    def author(self) -> dict[str, str | None]:
        """Return the author field of this user's posts."""
        return {"id": self.id, "name": self.name, "image": None}


def bearer(viewer: Account | None) -> Mapping[str, str]:
    return viewer.headers if viewer else {}


async def sign_up(db: Database, tokens: Tokens, *, name: str = "Somebody", role: Role = Role.USER) -> Account:
    """Insert a user with a session. Registering would hash a password, which is slow."""
    user = User(name=name, email=f"{new_id().hex}@example.com", role=role)
    refresh_token, session_id = new_refresh_token(), new_id()
    async with db.writing() as session:
        session.add(user)
        await session.flush()
        session.add(build_refresh_token(user.id, session_id, refresh_token, tokens.refresh_lifetime))
    access_token = tokens.create_access_token(Viewer(user.id, role), session_id)
    return Account(str(user.id), name, user.email, access_token, refresh_token)


async def backdate_used_tokens(db: Database, ago: timedelta = timedelta(minutes=1)) -> None:
    """Backdate the use of all used refresh tokens."""
    were_used = RefreshToken.used_at.is_not(None)
    async with db.writing() as session:
        await session.execute(update(RefreshToken).where(were_used).values(used_at=utcnow() - ago))


def build_refresh_token(user: UUID, session_id: UUID, token: str, life: timedelta) -> RefreshToken:
    """Return the first refresh token of a session."""
    return RefreshToken(user_id=user, family_id=session_id, token_hash=hash_token(token), expires_at=utcnow() + life)

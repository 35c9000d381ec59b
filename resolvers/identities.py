"""People whom others vouch for: known by their issuer's name for them, and given an account at first sight.

An address is never a way in. Whoever is told of with an address that an account here has already gets an account of
their own, without one: our own accounts prove no address, so neither could be trusted to be the other.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, delete, select

from models import Database, Identity, Role, User
from models.database.transaction import Transaction
from models.database.upserts import insert_or_nothing
from resolvers.accounts import normalize_email
from resolvers.inputs import LONGEST_ADDRESS
from resolvers.ports import Sessions
from resolvers.tokens import Claims

DEFAULT_NAME = "Somebody"
MAX_SUBJECT_LENGTH, MAX_NAME_LENGTH, MAX_IMAGE_URL_LENGTH = 255, 100, 2_048


@dataclass(frozen=True, slots=True)
class ExternalUser:
    """Somebody, as an issuer tells of them. Whatever may be None is used only to make an account."""

    issuer: str
    subject: str
    email: str | None = None
    name: str | None = None
    image: str | None = None
    known_by_email: bool = False
    """Whether the issuer may name one person differently each time, and means the same by the same address."""


def parse_claims(issuer: str, subject: str, claims: dict[str, Any], *, known_by_email: bool = False) -> ExternalUser:
    """The same from claims in OpenID Connect's words; what is not usable is left out."""
    email = None if claims.get("email_verified") is False else parse_email(claims.get("email"))
    name = next(
        (name for key in ("name", "preferred_username", "nickname") if (name := clean_name(claims.get(key)))), None
    )
    return ExternalUser(issuer, subject, email, name, parse_image_url(claims.get("picture")), known_by_email)


def parse_email(value: Any) -> str | None:
    try:
        return normalize_email(value.strip()) if isinstance(value, str) and len(value) <= LONGEST_ADDRESS else None
    except ValueError:
        return None


def clean_name(value: Any) -> str | None:
    """Text as a name may be: on one line, and not too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split()) if isinstance(value, str) else ""
    return text[:MAX_NAME_LENGTH].strip() or None


def parse_image_url(value: Any) -> str | None:
    usable = isinstance(value, str) and len(value) <= MAX_IMAGE_URL_LENGTH and value.isprintable()
    return value if usable and value.lower().startswith(("https://", "http://")) else None


async def resolve_account(db: Database, sessions: Sessions, somebody: ExternalUser, expires_at: int) -> Claims:
    """Whose account it is, with the role of this moment; made now, if they have not been seen before."""
    known = await sessions.identity(somebody.issuer, somebody.subject)
    if known is None:
        async with db.writing() as session:
            await create_account(session, somebody)
        known = await sessions.identity(somebody.issuer, somebody.subject)
    identity_id, viewer = known
    return Claims(viewer, identity_id, expires_at)


def identity_query(
    issuer: str | BindParameter[str], subject: str | BindParameter[str]
) -> Select[tuple[UUID, UUID, Role]]:
    """An identity, its account, and the role of that."""
    wanted = select(Identity.id, Identity.user_id, User.role).join(User, User.id == Identity.user_id)
    return wanted.where(Identity.issuer == issuer, Identity.subject == subject)


async def create_account(session: Transaction, somebody: ExternalUser) -> None:
    """Write down who it is. Of requests that come at once the first does, and what the others made goes again."""
    user = User(name=somebody.name or (somebody.email or DEFAULT_NAME).partition("@")[0], image=somebody.image)
    user_id = await get_or_create_user(session, somebody, user)
    identity = Identity(user_id=user_id, issuer=somebody.issuer, subject=somebody.subject, email=somebody.email)
    written = await session.execute(insert_or_nothing(session, Identity, identity.model_dump()))
    if user_id == user.id and not written.rowcount:
        await session.execute(delete(User).where(User.id == user.id))


async def get_or_create_user(session: Transaction, somebody: ExternalUser, new: User) -> UUID:
    """Whose account it is: one that they have already, or a new one, with the address unless another has that."""
    if user_id := await find_by_email(session, somebody):
        return user_id
    with_address = insert_or_nothing(session, User, new.model_dump() | {"email": somebody.email})
    if (await session.execute(with_address)).rowcount:
        return new.id
    if user_id := await find_by_email(session, somebody):  # who came at the same time was quicker
        return user_id
    session.add(new)
    await session.flush()
    return new.id


async def find_by_email(session: Transaction, somebody: ExternalUser) -> UUID | None:
    """The account of whom the same issuer told of by another name, where it means one person by one address."""
    if not (somebody.known_by_email and somebody.email):
        return None
    same = Identity.issuer == somebody.issuer, Identity.email == somebody.email
    return await session.scalar(select(Identity.user_id).where(*same).order_by(Identity.created_at).limit(1))

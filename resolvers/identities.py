"""Users of external issuers: identified by issuer and subject, with an account created at their first request.

An email address gives no access to an existing account: registration does not verify addresses. If another account has
the user's address, the new account gets none.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BindParameter, Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, Identity, Role, User
from models.database.upserts import insert_ignore
from resolvers.accounts import normalize_email
from resolvers.inputs import MAX_EMAIL_LENGTH
from resolvers.ports import Sessions
from resolvers.tokens import Claims

DEFAULT_NAME = "Somebody"
MAX_SUBJECT_LENGTH, MAX_NAME_LENGTH, MAX_IMAGE_URL_LENGTH = 255, 100, 2_048


@dataclass(frozen=True, slots=True)
class ExternalUser:
    """A user as described by an issuer. The optional fields are used only to create the account."""

    issuer: str
    subject: str
    email: str | None = None
    name: str | None = None
    image: str | None = None
    known_by_email: bool = False
    """Whether the subject may change at each sign-in, so that the email address identifies the user."""


def parse_claims(issuer: str, subject: str, claims: dict[str, Any], *, known_by_email: bool = False) -> ExternalUser:
    """Read a user from OpenID Connect's standard claims (OpenID Connect Core 1.0, 5.1). Unusable claims are ignored."""
    email = None if claims.get("email_verified") is False else parse_email(claims.get("email"))
    name = next(
        (name for key in ("name", "preferred_username", "nickname") if (name := clean_name(claims.get(key)))), None
    )
    return ExternalUser(issuer, subject, email, name, parse_image_url(claims.get("picture")), known_by_email)


def parse_email(value: Any) -> str | None:
    try:
        return normalize_email(value.strip()) if isinstance(value, str) and len(value) <= MAX_EMAIL_LENGTH else None
    except ValueError:
        return None


def clean_name(value: Any) -> str | None:
    """Return a name on one line, shortened to `MAX_NAME_LENGTH`, or None if nothing is left."""
    text = " ".join("".join(c if c.isprintable() else " " for c in value).split()) if isinstance(value, str) else ""
    return text[:MAX_NAME_LENGTH].strip() or None


def parse_image_url(value: Any) -> str | None:
    usable = isinstance(value, str) and len(value) <= MAX_IMAGE_URL_LENGTH and value.isprintable()
    return value if usable and value.lower().startswith(("https://", "http://")) else None


async def resolve_account(db: Database, sessions: Sessions, external: ExternalUser, expires_at: int) -> Claims:
    """Return the claims of a user's account, with its current role. Create the account at the first request."""
    identity = await sessions.identity(external.issuer, external.subject)
    if identity is None:
        async with db.writing() as session:
            await create_account(session, external)
        identity = await sessions.identity(external.issuer, external.subject)
    identity_id, viewer = identity
    return Claims(viewer, identity_id, expires_at)


def identity_query(
    issuer: str | BindParameter[str], subject: str | BindParameter[str]
) -> Select[tuple[UUID, UUID, Role]]:
    """Select the id, account id and role of an identity."""
    query = select(Identity.id, Identity.user_id, User.role).join(User, User.id == Identity.user_id)
    return query.where(Identity.issuer == issuer, Identity.subject == subject)


async def create_account(session: AsyncSession, external: ExternalUser) -> None:
    """Insert the identity and its account. Of concurrent requests the first wins; the others delete their account."""
    user = User(name=external.name or (external.email or DEFAULT_NAME).partition("@")[0], image=external.image)
    user_id = await get_or_create_user(session, external, user)
    identity = Identity(user_id=user_id, issuer=external.issuer, subject=external.subject, email=external.email)
    is_inserted = await insert_ignore(session, identity)
    if user_id == user.id and not is_inserted:
        await session.execute(delete(User).where(User.id == user.id))


async def get_or_create_user(session: AsyncSession, external: ExternalUser, new: User) -> UUID:
    """Return the id of the user's account, or insert `new`, with the email address unless another account has it."""
    if user_id := await find_by_email(session, external):
        return user_id
    if await insert_ignore(session, User(**{**new.model_dump(), "email": external.email})):
        return new.id
    if user_id := await find_by_email(session, external):  # a concurrent request was faster
        return user_id
    session.add(new)
    await session.flush()
    return new.id


async def find_by_email(session: AsyncSession, external: ExternalUser) -> UUID | None:
    """Return the account of an identity of the same issuer and address, if the address identifies the user."""
    if not (external.known_by_email and external.email):
        return None
    matches = Identity.issuer == external.issuer, Identity.email == external.email
    return await session.scalar(select(Identity.user_id).where(*matches).order_by(Identity.created_at).limit(1))

"""Accounts and sessions: registration, login, refresh and logout.

A session is a family of refresh tokens, each of which is exchanged once for the next. Its id is the `sid` of all its
access tokens, so they end with it.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator
from sqlalchemy import BindParameter, ColumnElement, CompoundSelect, Select, case, exists, false, null, select
from sqlalchemy import update as update_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from models import ApiKey, Database, Identity, RefreshToken, Role, User, Viewer, new_id, utcnow
from models.errors import Conflict, NotFound, Unauthorized
from models.events import invalidate_all
from resolvers import passwords
from resolvers.context import RequestContext
from resolvers.inputs import MAX_EMAIL_LENGTH, EmailText, Input, NewPassword, PersonName, Text, TrimmedText
from resolvers.ports import Sessions
from resolvers.tokens import Claims, IssuedTokens, Tokens, hash_token, new_refresh_token

WRONG_CREDENTIALS = "Wrong email address or password"
"""The same for a wrong password and an unknown address, so that the message does not tell which accounts exist."""
REFRESH_REUSED = "The refresh token has already been used; sign in again"
REFRESH_JUST_USED = "The refresh token has just been used; use the tokens that it was exchanged for"
REUSE_GRACE = timedelta(seconds=10)
"""A second use within this time is no theft: two tabs share the token, or a response was lost and the request repeated.
The second use gets no tokens, so a thief gains nothing; the tokens of the first use stay valid."""


def normalize_email(text: str) -> str:
    """Return an email address in lower case, or raise `ValueError`. Does not check that it receives mail."""
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError("must be an email address") from error


def normalize_email_or_raw(text: str) -> str:
    """Return an address as it is stored. A text that is no address is returned as well: no account has it."""
    try:
        return normalize_email(text) if len(text) <= MAX_EMAIL_LENGTH else text
    except ValueError:
        return text.lower()


class Register(Input):
    """A new account."""

    name: PersonName
    email: Annotated[EmailText, AfterValidator(normalize_email)]
    password: NewPassword


class Login(Input):
    """The credentials of an account."""

    email: TrimmedText
    password: Text


def viewer(viewer: Viewer | None) -> Select[User]:
    """The viewer's account, or null for an anonymous request."""
    return select(User).where(User.id == viewer.id if viewer else false())


def user(viewer: Viewer | None, id: UUID) -> Select[User]:
    """The user with an id."""
    return select(User).where(User.id == id)


def email(viewer: Viewer | None, user: type[User]) -> ColumnElement[str | None]:
    """The email address, visible to its owner and to admins."""
    if viewer is None:
        return null()
    return user.email if viewer.is_admin else case((user.id == viewer.id, user.email))


async def register(ctx: RequestContext, input: Register) -> IssuedTokens:
    """Create an account and sign in to it."""
    password_hash = await passwords.hash_password(input.password)
    user = User(name=input.name, email=input.email, password_hash=password_hash)
    try:
        async with ctx.db.writing() as session:
            session.add(user)
            await session.flush()
            issued = issue_tokens(session, ctx.tokens, Viewer(user.id, user.role), new_id())
    except IntegrityError as error:
        raise Conflict("That email address is already registered") from error
    return ctx.sign_in(issued)


async def login(ctx: RequestContext, input: Login) -> IssuedTokens:
    """Sign in with an email address and a password."""
    async with ctx.db.reading() as session:
        user = await session.scalar(select(User).where(User.email == normalize_email_or_raw(input.email)))
    if not await passwords.verify_password(input.password, user and user.password_hash):
        raise Unauthorized(WRONG_CREDENTIALS)
    async with ctx.db.writing() as session:
        issued = issue_tokens(session, ctx.tokens, Viewer(user.id, user.role), new_id())
    return ctx.sign_in(issued)


async def refresh(ctx: RequestContext, refresh_token: str) -> IssuedTokens:
    """Exchange a refresh token for new tokens.

    Each is valid once. A later second use means that it was stolen, and ends the session.
    """
    async with ctx.db.writing() as session:
        query = select(RefreshToken).where(RefreshToken.token_hash == hash_token(refresh_token)).with_for_update()
        token = await session.scalar(query)
        now = utcnow()
        if token is None or token.revoked_at is not None or token.expires_at <= now:
            raise Unauthorized("The refresh token is not valid or has expired")
        used_at = token.used_at
        if used_at is None:
            token.used_at = now
            user = await session.get_one(User, token.user_id)
            issued = issue_tokens(session, ctx.tokens, Viewer(user.id, user.role), token.family_id)
        elif now - used_at > REUSE_GRACE:
            await end_session(session, token.family_id)
    if used_at is not None:
        raise Unauthorized(REFRESH_REUSED if now - used_at > REUSE_GRACE else REFRESH_JUST_USED)
    return ctx.sign_in(issued)


async def logout(ctx: RequestContext, refresh_token: str | None = None) -> None:
    """End the session of the access token and that of the refresh token."""
    async with ctx.db.writing() as session:
        if ctx.session_id is not None:
            await end_session(session, ctx.session_id)
        if refresh_token is not None:
            query = select(RefreshToken.family_id).where(RefreshToken.token_hash == hash_token(refresh_token))
            if family_id := await session.scalar(query):
                await end_session(session, family_id)


async def authenticate(sessions: Sessions, tokens: Tokens, access_token: str) -> Claims:
    """Return the claims of an access token, with the viewer's current role.

    Raise `Unauthorized` if the token is not valid or its session has ended.
    """
    claims = tokens.verify(access_token)
    role = await sessions.role(claims.viewer.id, claims.session_id)
    if role is None:
        raise Unauthorized("The session has ended; sign in again")
    return replace(claims, viewer=Viewer(claims.viewer.id, role))


def active_session_role(
    user_id: UUID | BindParameter[UUID], session_id: UUID | BindParameter[UUID]
) -> Select[tuple[Role]]:
    """Select the role of an account if it exists and its session has not ended."""
    family = RefreshToken.family_id == session_id, RefreshToken.user_id == User.id, RefreshToken.revoked_at.is_(None)
    return select(User.role).where(User.id == user_id, exists().where(*family))


def active_sessions(sessions: Collection[UUID]) -> CompoundSelect:
    """Select those of some sessions, identities and API keys that have not ended, each with its account's role."""
    family = RefreshToken.family_id.in_(sessions), RefreshToken.revoked_at.is_(None)
    accounts = select(RefreshToken.family_id, User.role).join(User, User.id == RefreshToken.user_id).where(*family)
    identities = select(Identity.id, User.role).join(User, User.id == Identity.user_id)
    keys = select(ApiKey.id, User.role).join(User, User.id == ApiKey.user_id).where(ApiKey.revoked_at.is_(None))
    return accounts.union(identities.where(Identity.id.in_(sessions)), keys.where(ApiKey.id.in_(sessions)))


async def promote(db: Database, email: str, role: Role = Role.ADMIN) -> None:
    """Set the role of an account. Applies at once, also to its open sessions."""
    async with db.writing() as session:
        statement = update_rows(User).where(User.email == normalize_email_or_raw(email.strip())).values(role=role)
        if not (await session.execute(statement)).rowcount:
            raise NotFound(f"No account has the email address {email}")
        invalidate_all(session)


def issue_tokens(session: AsyncSession, tokens: Tokens, viewer: Viewer, session_id: UUID) -> IssuedTokens:
    """Return tokens for a new or a continued session, and add the refresh token to the transaction."""
    refresh_token, expires_at = new_refresh_token(), utcnow() + tokens.refresh_lifetime
    token_hash = hash_token(refresh_token)
    session.add(RefreshToken(user_id=viewer.id, family_id=session_id, token_hash=token_hash, expires_at=expires_at))
    expires_in = int(tokens.access_lifetime.total_seconds())
    return IssuedTokens(
        tokens.create_access_token(viewer, session_id), refresh_token, expires_in, viewer.id, viewer, session_id
    )


async def end_session(session: AsyncSession, session_id: UUID) -> None:
    family = RefreshToken.family_id == session_id, RefreshToken.revoked_at.is_(None)
    await session.execute(update_rows(RefreshToken).where(*family).values(revoked_at=utcnow()))

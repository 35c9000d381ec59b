"""Accounts: what can be asked about them, and how one signs in and out.

A session is a family of refresh tokens, each of which is exchanged once for the next. Its id is the `sid` of every
access token given out along the way, so a session that ends takes them with it.
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

from models import ApiKey, Database, Identity, RefreshToken, Role, User, Viewer, new_id, utcnow
from models.database.transaction import Transaction
from models.errors import Conflict, NotFound, Unauthorized
from models.events import touch_everything
from resolvers import passwords
from resolvers.context import RequestContext
from resolvers.inputs import LONGEST_ADDRESS, EmailText, Input, Line, NewPassword, PersonName, Text
from resolvers.ports import Sessions
from resolvers.tokens import Claims, IssuedTokens, Tokens, hash_token, new_refresh_token

WRONG_CREDENTIALS = "Wrong email address or password"
"""Said of a wrong password and of an unknown address alike."""
REFRESH_REUSED = "The refresh token was used before; sign in again"
REFRESH_JUST_USED = "The refresh token has just been used; go on with what it was exchanged for"
REUSE_GRACE = timedelta(seconds=10)
"""How far apart two uses of a refresh token may be one exchange: two tabs share it, or an answer was lost and asked for
again. Whoever comes second gets nothing, so a thief gains nothing either; the first one's tokens stay good."""


def normalize_email(text: str) -> str:
    """An email address in lower case; whether it receives mail is not asked, and `.test` is as good as any."""
    try:
        return validate_email(text, check_deliverability=False, test_environment=True).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError("must be an email address") from error


def normalize_email_or_raw(text: str) -> str:
    """How an address is kept, however somebody spells it now; what is no address nobody has."""
    try:
        return normalize_email(text) if len(text) <= LONGEST_ADDRESS else text
    except ValueError:
        return text.lower()


class Register(Input):
    """A new account."""

    name: PersonName
    email: Annotated[EmailText, AfterValidator(normalize_email)]
    password: NewPassword


class Login(Input):
    """The credentials of an account."""

    email: Line
    password: Text


def viewer(viewer: Viewer | None) -> Select[User]:
    """The viewer's own account, if somebody is signed in."""
    return select(User).where(User.id == viewer.id if viewer else false())


def user(viewer: Viewer | None, id: UUID) -> Select[User]:
    """One user."""
    return select(User).where(User.id == id)


def email(viewer: Viewer | None, user: type[User]) -> ColumnElement[str | None]:
    """The address, shown to its owner and to admins."""
    if viewer is None:
        return null()
    return user.email if viewer.is_admin else case((user.id == viewer.id, user.email))


async def register(ctx: RequestContext, input: Register) -> IssuedTokens:
    """Make an account and sign in to it."""
    password_hash = await passwords.hash_password(input.password)
    user = User(name=input.name, email=input.email, password_hash=password_hash)
    try:
        async with ctx.db.writing() as session:
            session.add(user)
            await session.flush()
            opened = issue_tokens(session, ctx.tokens, Viewer(user.id, user.role), new_id())
    except IntegrityError as error:
        raise Conflict("That email address is already registered") from error
    return ctx.enter(opened)


async def login(ctx: RequestContext, input: Login) -> IssuedTokens:
    """Sign in with an email address and a password."""
    async with ctx.db.reading() as session:
        user = await session.scalar(select(User).where(User.email == normalize_email_or_raw(input.email)))
    if not await passwords.verify_password(input.password, user and user.password_hash):
        raise Unauthorized(WRONG_CREDENTIALS)
    async with ctx.db.writing() as session:
        opened = issue_tokens(session, ctx.tokens, Viewer(user.id, user.role), new_id())
    return ctx.enter(opened)


async def refresh(ctx: RequestContext, refresh_token: str) -> IssuedTokens:
    """Exchange a refresh token for new tokens, once. Used again later it ends the session: somebody stole it."""
    async with ctx.db.writing() as session:
        wanted = select(RefreshToken).where(RefreshToken.token_hash == hash_token(refresh_token)).with_for_update()
        token = await session.scalar(wanted)
        now = utcnow()
        if token is None or token.revoked_at is not None or token.expires_at <= now:
            raise Unauthorized("The refresh token is not valid or has expired")
        used_at = token.used_at
        if used_at is None:
            token.used_at = now
            user = await session.get_one(User, token.user_id)
            opened = issue_tokens(session, ctx.tokens, Viewer(user.id, user.role), token.family_id)
        elif now - used_at > REUSE_GRACE:
            await end_session(session, token.family_id)
    if used_at is not None:
        raise Unauthorized(REFRESH_REUSED if now - used_at > REUSE_GRACE else REFRESH_JUST_USED)
    return ctx.enter(opened)


async def logout(ctx: RequestContext, refresh_token: str | None = None) -> None:
    """End the session of the access token, and that of the refresh token."""
    async with ctx.db.writing() as session:
        if ctx.session_id is not None:
            await end_session(session, ctx.session_id)
        if refresh_token is not None:
            held = select(RefreshToken.family_id).where(RefreshToken.token_hash == hash_token(refresh_token))
            if family_id := await session.scalar(held):
                await end_session(session, family_id)


async def authenticate(sessions: Sessions, tokens: Tokens, access_token: str) -> Claims:
    """What an access token says of its viewer, session and end, with the viewer's role of this moment."""
    claims = tokens.verify(access_token)
    role = await sessions.role(claims.viewer.id, claims.session_id)
    if role is None:
        raise Unauthorized("The session has ended; sign in again")
    return replace(claims, viewer=Viewer(claims.viewer.id, role))


def active_session_role(
    user_id: UUID | BindParameter[UUID], session_id: UUID | BindParameter[UUID]
) -> Select[tuple[Role]]:
    """The role of an account, while it and its session are there."""
    family = RefreshToken.family_id == session_id, RefreshToken.user_id == User.id, RefreshToken.revoked_at.is_(None)
    return select(User.role).where(User.id == user_id, exists().where(*family))


def active_sessions(sessions: Collection[UUID]) -> CompoundSelect:
    """Of some sessions, identities and API keys those that live, each with its account's role."""
    family = RefreshToken.family_id.in_(sessions), RefreshToken.revoked_at.is_(None)
    accounts = select(RefreshToken.family_id, User.role).join(User, User.id == RefreshToken.user_id).where(*family)
    identities = select(Identity.id, User.role).join(User, User.id == Identity.user_id)
    keys = select(ApiKey.id, User.role).join(User, User.id == ApiKey.user_id).where(ApiKey.revoked_at.is_(None))
    return accounts.union(identities.where(Identity.id.in_(sessions)), keys.where(ApiKey.id.in_(sessions)))


async def promote(db: Database, email: str, role: Role = Role.ADMIN) -> None:
    """Give an account a role, from now on."""
    async with db.writing() as session:
        change = update_rows(User).where(User.email == normalize_email_or_raw(email.strip())).values(role=role)
        if not (await session.execute(change)).rowcount:
            raise NotFound(f"No account has the address {email}")
        touch_everything(session)


def issue_tokens(session: Transaction, tokens: Tokens, viewer: Viewer, session_id: UUID) -> IssuedTokens:
    """Tokens for a session, new or going on."""
    refresh_token, expires_at = new_refresh_token(), utcnow() + tokens.refresh_life
    kept = {"user_id": viewer.id, "family_id": session_id, "token_hash": hash_token(refresh_token)}
    session.add(RefreshToken(**kept, expires_at=expires_at))
    expires_in = int(tokens.access_life.total_seconds())
    return IssuedTokens(tokens.access(viewer, session_id), refresh_token, expires_in, viewer.id, viewer, session_id)


async def end_session(session: Transaction, session_id: UUID) -> None:
    family = RefreshToken.family_id == session_id, RefreshToken.revoked_at.is_(None)
    await session.execute(update_rows(RefreshToken).where(*family).values(revoked_at=utcnow()))

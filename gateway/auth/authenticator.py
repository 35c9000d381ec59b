"""Credential dispatch: each kind of credential goes to its verifier."""

from collections.abc import Mapping

from gateway.auth.api_key_usage import ApiKeyUsage
from gateway.auth.authjs import AuthJs
from gateway.auth.oidc import OIDCVerifier
from models import Database
from resolvers import accounts, api_keys, identities
from resolvers.ports import Sessions
from resolvers.tokens import Claims, Tokens


class Authenticator:
    """Verifies the credentials of requests. The form of a credential decides its kind, without a database query."""

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        tokens: Tokens,
        usage: ApiKeyUsage,
        oidc: OIDCVerifier | None = None,
        authjs: AuthJs | None = None,
    ) -> None:
        self.db, self.sessions, self.tokens, self.usage = db, sessions, tokens, usage
        self.oidc, self.authjs = oidc, authjs

    async def authenticate_bearer(self, token: str) -> Claims:
        """Return the claims of a bearer token: an API key, an external access token or one of our own.

        Raise `Unauthorized`, or `Unavailable` if the identity provider's keys cannot be fetched.
        """
        if token.startswith(api_keys.PREFIX):
            return await self.authenticate_api_key(token)
        if self.oidc is not None and self.oidc.matches_issuer(token):
            user, expires_at = await self.oidc.verify(token)
            return await identities.resolve_account(self.db, self.sessions, user, expires_at)
        return await self.authenticate_session(token)

    async def authenticate_session(self, token: str) -> Claims:
        """Return the claims of one of our own access tokens, or raise `Unauthorized`."""
        return await accounts.authenticate(self.sessions, self.tokens, token)

    async def authenticate_api_key(self, key: str) -> Claims:
        """Return the claims of an API key and record its use, or raise `Unauthorized`."""
        claims = await api_keys.authenticate(self.sessions, key)
        self.usage.record(claims.key_id)
        return claims

    def has_external_session(self, cookies: Mapping[str, str]) -> bool:
        """Return whether there is an Auth.js cookie, valid or not."""
        return self.authjs is not None and self.authjs.has_cookie(cookies)

    async def authenticate_external_session(self, cookies: Mapping[str, str]) -> Claims | None:
        """Return the claims of an Auth.js session, or None if the cookie is not valid or has expired."""
        session = self.authjs and self.authjs.read_user(cookies)
        return await identities.resolve_account(self.db, self.sessions, *session) if session else None

"""Whatever a client may show to say who it is, each kind with who can tell whether it is good."""

from collections.abc import Mapping

from gateway.auth.api_key_usage import Usage
from gateway.auth.authjs import AuthJs
from gateway.auth.oidc import Provider
from models import Database
from resolvers import accounts, api_keys, identities
from resolvers.ports import Sessions
from resolvers.tokens import Claims, Tokens


class Credentials:
    """Tells the kinds apart by their form, before anything is asked of anybody."""

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        tokens: Tokens,
        usage: Usage,
        provider: Provider | None = None,
        authjs: AuthJs | None = None,
    ) -> None:
        self.db, self.sessions, self.tokens, self.usage = db, sessions, tokens, usage
        self.provider, self.authjs = provider, authjs

    async def bearer(self, token: str) -> Claims:
        """What a bearer's token says, or `Unauthorized`."""
        if token.startswith(api_keys.PREFIX):
            return await self.key(token)
        if self.provider is not None and self.provider.claims_to_have_issued(token):
            somebody, expires_at = await self.provider.verified(token)
            return await identities.recognise(self.db, self.sessions, somebody, expires_at)
        return await self.session(token)

    async def session(self, token: str) -> Claims:
        """The same of an access token that can only be ours."""
        return await accounts.authenticate(self.sessions, self.tokens, token)

    async def key(self, key: str) -> Claims:
        """The same of an API key, whatever it came in."""
        claims = await api_keys.authenticate(self.sessions, key)
        self.usage.note(claims.key_id)
        return claims

    def has_guest(self, cookies: Mapping[str, str]) -> bool:
        """Whether there are cookies of a front end's, whatever they are worth."""
        return self.authjs is not None and self.authjs.is_there(cookies)

    async def guest(self, cookies: Mapping[str, str]) -> Claims | None:
        """Who is signed in to a front end; nobody, if its cookies are stale."""
        told = self.authjs and self.authjs.told(cookies)
        return await identities.recognise(self.db, self.sessions, *told) if told else None

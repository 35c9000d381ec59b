"""Whatever a client may show to say who it is, each kind with who can tell whether it is good."""

from gateway.identity.usage import Usage
from models import Database
from resolvers import accounts, api_keys
from resolvers.tokens import Claims, Tokens


class Credentials:
    """Tells the kinds apart by their form, before anything is asked of anybody."""

    def __init__(self, db: Database, tokens: Tokens, usage: Usage) -> None:
        self.db, self.tokens, self.usage = db, tokens, usage

    async def bearer(self, token: str) -> Claims:
        """What a bearer's token says, or `Unauthorized`."""
        if token.startswith(api_keys.PREFIX):
            return await self.key(token)
        return await accounts.authenticate(self.db, self.tokens, token)

    async def key(self, key: str) -> Claims:
        """The same of an API key, whatever it came in."""
        claims = await api_keys.authenticate(self.db, key)
        self.usage.note(claims.key_id)
        return claims

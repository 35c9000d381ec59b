"""What may be asked, and what is meant by a request that names its document instead of sending it."""

import hashlib
from dataclasses import replace

from gateway.graphql.documents.limits import DocumentLimits, check_limits
from gateway.graphql.documents.operation import Operation
from gateway.graphql.engine import Engine, GraphQLRequest
from gateway.persisted.apq import PersistedQueryCache
from gateway.persisted.client_info import Client
from gateway.persisted.trusted_documents import TrustedDocuments
from gateway.persisted.usage_log import UsageLog
from gateway.settings import Settings
from models.errors import (
    NotFound,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    UntrustedDocument,
    ValidationError,
)
from resolvers.document_usage import DocumentText


class DocumentResolver:
    """Turns what a client names into what it asks, and holds texts to the mode that trusted documents are in.

    off: any text runs, and is not noted. log: it is noted. prefer: one that is not trusted has half of the limits.
    require: it is refused, whoever sends it. A trusted document runs by its id in all of them, and is noted.
    """

    def __init__(self, engine: Engine, trusted: TrustedDocuments, ledger: UsageLog, settings: Settings) -> None:
        self.engine, self.trusted, self.ledger = engine, trusted, ledger
        self.mode, self.most_automatic = settings.trusted_documents, settings.graphql_max_persisted_queries
        self.automatic = PersistedQueryCache(0 if self.mode == "require" else self.most_automatic)
        self.inspects_documents = self.mode != "off"
        self.reduced_limits = halve_limits(engine.limits)

    async def resolve(self, asked: GraphQLRequest, client: Client) -> GraphQLRequest:
        """The request with the text of its document, if it may ask that."""
        reference = asked.reference
        if reference is None:
            return await self.check_permitted(asked, client)
        if reference.is_automatic:
            return await self.resolve_hash(replace(asked, reference=None), reference.id, client)
        text = await self.trusted.text(reference.id)
        if text is None:
            raise NotFound.for_entity("Document")
        return await self.record_usage(replace(asked, query=text, reference=None), client)

    async def resolve_hash(self, asked: GraphQLRequest, sha256: str, client: Client) -> GraphQLRequest:
        """Apollo's protocol. A hash may be that of a trusted document too, which is never sent."""
        if asked.query:
            return await self.register(asked, sha256, client)
        if text := self.automatic.get(sha256):
            return await self.check_permitted(replace(asked, query=text), client)
        if text := await self.trusted.text(sha256):
            return await self.record_usage(replace(asked, query=text), client)
        raise PersistedQueryNotFound if self.most_automatic else PersistedQueryNotSupported

    async def register(self, asked: GraphQLRequest, sha256: str, client: Client) -> GraphQLRequest:
        """Keep a document that came along with its hash, if it is one that is answered."""
        if digest(asked.query) != sha256:
            raise ValidationError("provided sha does not match query")
        asked = await self.check_permitted(asked, client)
        if self.automatic.most and await self.operation(asked):
            self.automatic.keep(sha256, asked.query)
        return asked

    async def check_permitted(self, asked: GraphQLRequest, client: Client) -> GraphQLRequest:
        """A text, held to the mode."""
        if self.mode == "off":
            return asked
        is_trusted = await self.trusted.text(digest(asked.query)) == asked.query
        if not is_trusted and self.mode == "require":
            await self.allow_introspection_only(asked)
        elif not is_trusted and self.mode == "prefer":
            await self.check_reduced_limits(asked)
        return await self.record_usage(asked, client)

    async def allow_introspection_only(self, asked: GraphQLRequest) -> None:
        """Where the schema may be explored, that much is let pass: GraphiQL shows it, and runs what is trusted."""
        operation = await self.operation(asked) if self.engine.limits.introspection else None
        if operation is None or not operation.is_introspection:
            raise UntrustedDocument

    async def check_reduced_limits(self, asked: GraphQLRequest) -> None:
        operation = await self.operation(asked)
        for error in check_limits(self.reduced_limits, operation.document) if operation else ():
            raise ValidationError(f"{error.message}, which only trusted documents may")

    async def record_usage(self, asked: GraphQLRequest, client: Client) -> GraphQLRequest:
        """With a line in the ledger, unless it is not valid, or only explores the schema."""
        operation = await self.operation(asked)
        if operation is not None and not operation.is_introspection:
            self.ledger.record(digest(asked.query), DocumentText(asked.query, operation.name), client)
        return asked

    async def operation(self, asked: GraphQLRequest) -> Operation | None:
        """What is asked for, which the engine works out once; None where it refuses, as it says by itself later."""
        try:
            return await self.engine.operation(asked)
        except Exception:
            return None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def halve_limits(limits: DocumentLimits) -> DocumentLimits:
    """Half of each limit."""
    halves = {name: max(1, getattr(limits, name) // 2) for name in ("depth", "aliases", "root_fields", "fields")}
    return replace(limits, **halves)

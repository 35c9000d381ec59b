"""Resolution of requests that reference a document by hash or id, and enforcement of the trusted documents mode."""

import hashlib
from dataclasses import replace

from gateway.graphql.cache.lru import LRUCache
from gateway.graphql.documents.limits import DocumentLimits, check_limits
from gateway.graphql.documents.operation import Operation
from gateway.graphql.engine import Engine, GraphQLRequest
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

MAX_PERSISTED_CHARACTERS = 8 * 2**20
"""Characters of all documents that clients registered by Apollo's automatic persisted queries (APQ)."""


class DocumentResolver:
    """Replaces references by document texts, and enforces `TRUSTED_DOCUMENTS`.

    off: any document runs, and its use is not recorded. log: its use is recorded. prefer: one that is not trusted has
    half of the limits. require: it is rejected. In every mode a trusted document runs by its id, and is recorded.
    """

    def __init__(self, engine: Engine, trusted: TrustedDocuments, usage_log: UsageLog, settings: Settings) -> None:
        self.engine, self.trusted, self.usage_log = engine, trusted, usage_log
        self.mode, self.max_persisted = settings.trusted_documents, settings.graphql_max_persisted_queries
        max_entries = 0 if self.mode == "require" else self.max_persisted
        self.persisted_queries = LRUCache[str](max_entries, MAX_PERSISTED_CHARACTERS, lambda sha256, text: len(text))
        """APQ documents of this process by SHA-256. Other processes are not asked: the client sends the text again."""
        self.inspects_documents = self.mode != "off"
        self.reduced_limits = halve_limits(engine.limits)

    async def resolve(self, request: GraphQLRequest, client: Client) -> GraphQLRequest:
        """Return the request with the text of its document. Raises an `APIError` if it may not run."""
        reference = request.reference
        if reference is None:
            return await self.check_permitted(request, client)
        if reference.is_automatic:
            return await self.resolve_hash(replace(request, reference=None), reference.id, client)
        text = await self.trusted.get_text(reference.id)
        if text is None:
            raise NotFound.for_entity("Document")
        return await self.record_usage(replace(request, query=text, reference=None), client)

    async def resolve_hash(self, request: GraphQLRequest, sha256: str, client: Client) -> GraphQLRequest:
        """Resolve a hash by Apollo's protocol. It may also be that of a trusted document, which need not be sent."""
        if request.query:
            return await self.register(request, sha256, client)
        if text := self.persisted_queries.get(sha256):
            return await self.check_permitted(replace(request, query=text), client)
        if text := await self.trusted.get_text(sha256):
            return await self.record_usage(replace(request, query=text), client)
        raise PersistedQueryNotFound if self.max_persisted else PersistedQueryNotSupported

    async def register(self, request: GraphQLRequest, sha256: str, client: Client) -> GraphQLRequest:
        """Cache a document that was sent with its hash, if it is valid."""
        if digest(request.query) != sha256:
            raise ValidationError("provided sha does not match query")
        request = await self.check_permitted(request, client)
        if self.persisted_queries.max_entries and await self.get_operation(request):
            self.persisted_queries.put(sha256, request.query)
        return request

    async def check_permitted(self, request: GraphQLRequest, client: Client) -> GraphQLRequest:
        """Return the request if the mode permits its document. Raises an `APIError` otherwise."""
        if self.mode == "off":
            return request
        is_trusted = await self.trusted.get_text(digest(request.query)) == request.query
        if not is_trusted and self.mode == "require":
            await self.allow_introspection_only(request)
        elif not is_trusted and self.mode == "prefer":
            await self.check_reduced_limits(request)
        return await self.record_usage(request, client)

    async def allow_introspection_only(self, request: GraphQLRequest) -> None:
        """Reject what is not introspection, which GraphiQL needs where the settings enable it."""
        operation = await self.get_operation(request) if self.engine.limits.introspection else None
        if operation is None or not operation.is_introspection:
            raise UntrustedDocument

    async def check_reduced_limits(self, request: GraphQLRequest) -> None:
        operation = await self.get_operation(request)
        for error in check_limits(self.reduced_limits, operation.document) if operation else ():
            raise ValidationError(f"{error.message}, which is allowed only for trusted documents")

    async def record_usage(self, request: GraphQLRequest, client: Client) -> GraphQLRequest:
        """Record the use of the document, unless it is invalid or only introspects the schema."""
        operation = await self.get_operation(request)
        if operation is not None and not operation.is_introspection:
            self.usage_log.record(digest(request.query), DocumentText(request.query, operation.name), client)
        return request

    async def get_operation(self, request: GraphQLRequest) -> Operation | None:
        """Return the request's operation; None if it is invalid, which the engine reports when it executes it."""
        try:
            return await self.engine.get_operation(request)
        except Exception:
            return None


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def halve_limits(limits: DocumentLimits) -> DocumentLimits:
    halves = {name: max(1, getattr(limits, name) // 2) for name in ("depth", "aliases", "root_fields", "fields")}
    return replace(limits, **halves)

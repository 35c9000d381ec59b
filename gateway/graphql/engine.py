"""Execution of GraphQL requests, for every transport, and of the queries behind REST's reads.

Once per document and shape of variables: `str → Operation → Fields → Select → Plan`. Per request: `values → parameters
→ row → bytes`.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import orjson
import strawberry
from graphql import GraphQLSchema
from graphql.execution.values import VariableValues

from gateway.events.log import EventLog
from gateway.graphql.cache.count_cache import CountCache
from gateway.graphql.cache.lru import AsyncLRUCache, LRUCache
from gateway.graphql.cache.response_cache import CacheTicket, ResponseCache
from gateway.graphql.database import ReadDatabase
from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import Operation, parse_operation
from gateway.graphql.errors import RequestError, to_api_error
from gateway.graphql.execution.fallback import execute_introspection, execute_remaining
from gateway.graphql.execution.mutations import Mutations
from gateway.graphql.execution.result import NULL, ExecutionResult, from_row
from gateway.graphql.execution.subscriptions import Subscription, Subscriptions
from gateway.graphql.planning.plan import request_values
from gateway.graphql.planning.planner import Planner
from gateway.graphql.request import CostReport, GraphQLRequest
from gateway.graphql.response import GraphQLResponse, build_response, truncate_name, with_cost_extension
from gateway.http.conditional import NO_CACHE, CacheControl
from models import Viewer
from models.errors import MethodNotAllowed, NotAcceptable
from resolvers.context import RequestContext, no_charge

__all__ = ["DocumentLimits", "Engine", "GraphQLRequest", "GraphQLResponse", "StaticQuery"]

MAX_CACHED_DOCUMENTS, MAX_CACHED_TOKENS = 1_000, 200_000
"""A parsed token takes about 400 bytes of memory, however short its text is."""
MAX_CACHED_INTROSPECTIONS, MAX_INTROSPECTION_BYTES = 20, 8 * 2**20
Built = TypeVar("Built")

STREAM_REQUIRED = (
    "Subscriptions are available as text/event-stream, as multipart/mixed;subscriptionSpec=1.0, or over a WebSocket"
)


@dataclass(frozen=True, slots=True)
class StaticQuery:
    """A query of the server's own, which `Engine.prepare` compiles at start."""

    source: str

    def cache_key(self, variables: dict[str, Any], build: Callable[..., Any]) -> Hashable:
        """Return the key of what `build` returns for the result."""
        return self, build, orjson.dumps(variables)


def identity(texts: dict[str, bytes], cache_control: CacheControl) -> dict[str, bytes]:
    return texts


class Engine:
    """An executor that compiles an operation to one SQL statement, and splices the row into the response."""

    def __init__(
        self,
        schema: strawberry.Schema,
        reads: ReadDatabase,
        limits: DocumentLimits | None = None,
        response_cache: ResponseCache | None = None,
        count_cache: ResponseCache | None = None,
    ) -> None:
        self.schema: GraphQLSchema = schema._schema
        self.reads, self.limits = reads, limits or DocumentLimits()
        self.response_cache = response_cache or ResponseCache()
        self.count_cache = CountCache(count_cache or ResponseCache())
        compiler = ThreadPoolExecutor(1, "compiling")
        """New documents wait for each other; cached ones never wait for them."""
        self.documents = AsyncLRUCache[Operation](
            compiler, MAX_CACHED_DOCUMENTS, MAX_CACHED_TOKENS, lambda key, operation: operation.token_count
        )
        self.introspections = AsyncLRUCache[GraphQLResponse](
            compiler, MAX_CACHED_INTROSPECTIONS, MAX_INTROSPECTION_BYTES, lambda key, response: len(response.body)
        )
        self.planner = Planner(self.schema, reads.dialect, compiler)
        self.mutations = Mutations(self.schema, self.planner, reads)
        self.subscriptions = Subscriptions(self.mutations, reads)
        self.static_operations: dict[StaticQuery, Operation] = {}

    @property
    def caches(self) -> dict[str, LRUCache]:
        """The caches by their label in metrics."""
        return {
            "response": self.response_cache.lru,
            "count": self.count_cache.cache.lru,
            "document": self.documents,
            "plan": self.planner.plans,
        }

    async def execute(self, request: GraphQLRequest, ctx: RequestContext) -> GraphQLResponse:
        """Return the response to one request. Raises nothing: every error is in the response."""
        name = request.operation_name
        try:
            operation = await self.get_operation(request)
            name = operation.name
            if operation.is_subscription:
                raise NotAcceptable(STREAM_REQUIRED)
            cache_key = None if operation.is_mutation else self.cache_key(request)
            if cache_key and (cached := self.response_cache.get(cache_key, ctx.viewer)):
                await ctx.charge(cached.cost)
                return cached
            variables = operation.coerce_variables(request.variables)
            cost = operation.compute_cost(variables)
            if request.cost is not CostReport.VALIDATE:
                await ctx.charge(cost)
        except Exception as error:
            return request_error_response(error, name, ctx)
        if request.cost is CostReport.VALIDATE:
            return GraphQLResponse(with_cost_extension(b"{}", cost, self.limits.cost), operation=truncate_name(name))
        try:
            if operation.is_introspection:
                return self.with_cost(await self.introspect(operation, cost), request)
            data, errors, ticket = await self._execute(operation, variables, request, ctx)
        except Exception as error:
            data, errors, ticket = NULL.encode(), [error], None
        cache_control = ticket.cache_control if ticket else NO_CACHE
        response = build_response(data, errors, name, ctx.request_id, cache_control, cost, operation.type)
        if cache_key and not errors:
            self.response_cache.put(cache_key, ticket, response, len(response.body) + len(request.query))
        return self.with_cost(response, request)

    def with_cost(self, response: GraphQLResponse, request: GraphQLRequest) -> GraphQLResponse:
        """Add the cost to the response if the request asks for it."""
        if request.cost is not CostReport.REPORT:
            return response
        return replace(response, body=with_cost_extension(response.body, response.cost, self.limits.cost))

    async def introspect(self, operation: Operation, cost: int) -> GraphQLResponse:
        """Return the response to an introspection query, which is the same for every viewer."""

        def build() -> GraphQLResponse:
            body, name = execute_introspection(operation), truncate_name(operation.name)
            return GraphQLResponse(body, operation=name, cost=cost, kind=operation.type)

        cached = self.introspections.get(operation)
        return cached or await self.introspections.get_or_create(operation, build)

    def cache_key(self, request: GraphQLRequest) -> Hashable:
        """Return the parts of a request that its response depends on; None if the response is not cached."""
        if not self.response_cache.is_enabled or request.cost:
            return None
        return request.query, request.operation_name, orjson.dumps(request.variables or None)

    async def is_subscription(self, request: GraphQLRequest) -> bool:
        try:
            return (await self.get_operation(request)).is_subscription
        except Exception:
            return False  # `execute` reports the error

    async def subscribe(
        self, request: GraphQLRequest, ctx: RequestContext, log: EventLog, resume_after: int | None = None
    ) -> Subscription | GraphQLResponse:
        """Start a subscription, after the event id `resume_after` if given. Returns a response if there is an error."""
        name = request.operation_name
        try:
            operation = await self.get_operation(request)
            name = operation.name
            variables = operation.coerce_variables(request.variables)
            await ctx.charge(operation.compute_cost(variables))
            return await self.subscriptions.subscribe(request, operation, variables, ctx, log, resume_after)
        except Exception as error:
            return request_error_response(error, name, ctx)

    def prepare(self, queries: Iterable[StaticQuery]) -> None:
        """Compile the server's own queries. An invalid one raises `RequestError`, which stops the start."""
        for query in queries:
            self.static_operations[query] = parse_operation(self.schema, DocumentLimits(), query.source)

    async def execute_static(
        self,
        query: StaticQuery,
        variables: dict[str, Any],
        viewer: Viewer | None,
        build: Callable[[dict[str, bytes], CacheControl], Built] = identity,
        charge: Callable[[int], Awaitable[None]] = no_charge,
    ) -> Built:
        """Return what `build` makes of the JSON text of each root field; a missing entity is `null`.

        `charge` gets the cost before the query runs, also if the result is cached. Raises the first error.
        """
        key = query.cache_key(variables, build)
        if cached := self.response_cache.get(key, viewer):
            built, cost = cached
            await charge(cost)
            return built
        operation = self.static_operations[query]
        try:
            values = operation.coerce_variables(variables)
        except RequestError as error:
            raise to_api_error(error.errors[0]) from error
        cost = operation.compute_cost(values)
        await charge(cost)
        result, ticket = await self._execute_query(operation, values, viewer)
        for error in result.errors:
            raise to_api_error(error).with_traceback(None) from error
        texts = {key: text.encode() for key, text in result.texts.items()}
        built = build(texts, ticket.cache_control)
        self.response_cache.put(key, ticket, (built, cost), sum(map(len, texts.values())))
        return built

    async def get_operation(self, request: GraphQLRequest) -> Operation:
        """Return the request's operation. Raises `RequestError` if it is invalid or exceeds a limit."""
        key = request.query, request.operation_name
        operation = self.documents.get(key)
        if operation is None:
            operation = await self.documents.get_or_create(
                key, partial(parse_operation, self.schema, self.limits, *key)
            )
        if operation.is_mutation and request.only_queries:
            raise MethodNotAllowed("Mutations must be sent by POST")
        return operation

    async def _execute(
        self, operation: Operation, variables: VariableValues, request: GraphQLRequest, ctx: RequestContext
    ) -> tuple[bytes, list[Any], CacheTicket | None]:
        """Return the data, the errors, and the cache ticket if the result may be cached."""
        if operation.is_mutation:
            result, ticket = await self.mutations.execute(operation, variables, ctx), None
        else:
            result, ticket = await self._execute_query(operation, variables, ctx.viewer)
        if result.complete:
            return result.to_bytes(), result.errors, ticket
        completed = await execute_remaining(operation, result, request.variables, ctx)
        return orjson.dumps(completed.data), completed.errors or [], None

    async def _execute_query(
        self, operation: Operation, variables: VariableValues, viewer: Viewer | None
    ) -> tuple[ExecutionResult, CacheTicket]:
        """Read all root fields of a query with one statement."""
        plan, values = await self.planner.query_plan(operation, variables, viewer), request_values(variables, viewer)
        pending = self.count_cache.load(plan, values, viewer) if plan.counts else ()
        parameters, errors = plan.bind(values)
        ticket = self.response_cache.create_ticket(plan, values, viewer)
        row = await self.reads.fetch_row(plan.sql, parameters) if plan.sql else ()
        self.count_cache.store(pending, row)
        return from_row(plan, row, errors), ticket


def request_error_response(error: Exception, name: str | None, ctx: RequestContext) -> GraphQLResponse:
    errors = error.errors if isinstance(error, RequestError) else [error]
    return build_response(None, errors, name, ctx.request_id)

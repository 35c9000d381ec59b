"""Answers GraphQL requests: the one way in for every transport, and for REST's reads.

`str → Operation → Fields → Select → Plan` once per document and shape; `values → parameters → row → bytes` per request.
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
from gateway.graphql.cache.count_cache import Counts
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
from gateway.graphql.request import (
    NO_CACHE,
    CacheControl,
    CostReport,
    GraphQLRequest,
    GraphQLResponse,
    build_response,
    truncate_name,
    with_cost_extension,
)
from models import Viewer
from models.errors import MethodNotAllowed, NotAcceptable
from resolvers.context import RequestContext, no_charge

__all__ = ["DocumentLimits", "Engine", "GraphQLRequest", "GraphQLResponse", "StaticQuery"]

MOST_DOCUMENTS, DOCUMENT_TOKENS = 1_000, 200_000
"""A token takes 400 bytes of memory once it has been read, however few it has of text."""
MOST_INTROSPECTIONS, INTROSPECTION_BYTES = 20, 8 * 2**20
Made = TypeVar("Made")

STREAMS = "A subscription is answered as text/event-stream or multipart/mixed;subscriptionSpec=1.0, or over a WebSocket"


@dataclass(frozen=True, slots=True)
class StaticQuery:
    """A query of the server's own, which `Engine.prepare` compiles at start."""

    source: str

    def cache_key(self, variables: dict[str, Any], make: Callable[..., Any]) -> Hashable:
        """Return the key of what `make` builds from the result."""
        return self, make, orjson.dumps(variables)


def introspect(operation: Operation, points: int) -> GraphQLResponse:
    return GraphQLResponse(
        execute_introspection(operation), operation=truncate_name(operation.name), points=points, kind=operation.type
    )


def weight_of(operation: Operation, answer: GraphQLResponse) -> int:
    return len(answer.body)


def identity(texts: dict[str, bytes], reuse: CacheControl) -> dict[str, bytes]:
    return texts


class Engine:
    """Compiles what is asked to one statement, and splices what the database says into the answer."""

    def __init__(
        self,
        schema: strawberry.Schema,
        reads: ReadDatabase,
        limits: DocumentLimits | None = None,
        answers: ResponseCache | None = None,
        counts: ResponseCache | None = None,
    ) -> None:
        self.schema: GraphQLSchema = schema._schema
        self.reads, self.limits = reads, limits or DocumentLimits()
        self.answers, self.counts = answers or ResponseCache(), Counts(counts or ResponseCache())
        aside = ThreadPoolExecutor(1, "compiling")
        """Documents that nobody has met wait for each other; those that are known never wait for them."""
        self.documents = AsyncLRUCache[Operation](
            aside, MOST_DOCUMENTS, DOCUMENT_TOKENS, lambda key, operation: operation.token_count
        )
        self.introspections = AsyncLRUCache[GraphQLResponse](aside, MOST_INTROSPECTIONS, INTROSPECTION_BYTES, weight_of)
        self.planner = Planner(self.schema, reads.dialect, aside)
        self.mutations = Mutations(self.schema, self.planner, reads)
        self.subscriptions = Subscriptions(self.mutations, reads)
        self.static_operations: dict[StaticQuery, Operation] = {}

    @property
    def caches(self) -> dict[str, LRUCache]:
        """By what they keep."""
        return {
            "response": self.answers,
            "count": self.counts.answers,
            "document": self.documents,
            "plan": self.planner.plans,
        }

    async def execute(self, request: GraphQLRequest, ctx: RequestContext) -> GraphQLResponse:
        """The response to one request. Raises nothing: every refusal is in the body."""
        name = request.operation_name
        try:
            operation = await self.operation(request)
            name = operation.name
            if operation.is_subscription:
                raise NotAcceptable(STREAMS)
            asked = None if operation.is_mutation else self.cache_key(request)
            if asked and (known := self.answers.get(asked, ctx.viewer)):
                await ctx.charge(known.points)
                return known
            variables = operation.coerce_variables(request.variables)
            points = operation.points(variables)
            if request.cost is not CostReport.VALIDATE:
                await ctx.charge(points)
        except RequestError as refused:
            return build_response(None, refused.errors, name, ctx.request_id)
        except Exception as error:
            return build_response(None, [error], name, ctx.request_id)
        if request.cost is CostReport.VALIDATE:
            return GraphQLResponse(with_cost_extension(b"{}", points, self.limits.cost), operation=truncate_name(name))
        try:
            if operation.is_introspection:
                return self.with_cost(await self.introspect(operation, points), request)
            data, errors, reading = await self._execute(operation, variables, request, ctx)
        except Exception as error:
            data, errors, reading = NULL.encode(), [error], None
        reuse = reading.reuse if reading else NO_CACHE
        answer = build_response(data, errors, name, ctx.request_id, reuse, points, operation.type)
        if asked and not errors:
            self.answers.put(asked, reading, answer, len(answer.body) + len(request.query))
        return self.with_cost(answer, request)

    def with_cost(self, answer: GraphQLResponse, request: GraphQLRequest) -> GraphQLResponse:
        """An answer that says what it costs, where that was asked."""
        if request.cost is not CostReport.REPORT:
            return answer
        return replace(answer, body=with_cost_extension(answer.body, answer.points, self.limits.cost))

    async def introspect(self, operation: Operation, points: int) -> GraphQLResponse:
        """What the schema says of itself, which is the same for everybody at any time."""
        known = self.introspections.get(operation)
        return known or await self.introspections.get_or_create(operation, partial(introspect, operation, points))

    def cache_key(self, request: GraphQLRequest) -> Hashable:
        """A request as far as its answer depends on it; None where answers are not kept."""
        if not self.answers.max_weight or request.cost:
            return None
        return request.query, request.operation_name, orjson.dumps(request.variables or None)

    async def is_subscription(self, request: GraphQLRequest) -> bool:
        """Whether a request is for more than one answer."""
        try:
            return (await self.operation(request)).is_subscription
        except Exception:
            return False  # `answer` says why it is refused

    async def subscribe(
        self, request: GraphQLRequest, ctx: RequestContext, log: EventLog, resumed: int | None = None
    ) -> Subscription | GraphQLResponse:
        """A subscriber who stands at the cursor that they resume from, or the answer that says why there is none."""
        name = request.operation_name
        try:
            operation = await self.operation(request)
            name = operation.name
            variables = operation.coerce_variables(request.variables)
            await ctx.charge(operation.points(variables))
            return await self.subscriptions.subscribe(request, operation, variables, ctx, log, resumed)
        except RequestError as refused:
            return build_response(None, refused.errors, name, ctx.request_id)
        except Exception as error:
            return build_response(None, [error], name, ctx.request_id)

    def prepare(self, queries: Iterable[StaticQuery]) -> None:
        """Compile the server's own queries. An invalid one raises `RequestRefused`, which stops the start."""
        for query in queries:
            self.static_operations[query] = parse_operation(self.schema, DocumentLimits(), query.source)

    async def read(
        self,
        query: StaticQuery,
        variables: dict[str, Any],
        viewer: Viewer | None,
        make: Callable[[dict[str, bytes], CacheControl], Made] = identity,
        charge: Callable[[int], Awaitable[None]] = no_charge,
    ) -> Made:
        """Return what `make` builds from the JSON text of each root field; a missing root is `null`.

        `charge` gets the cost before the query runs, from the cache too. Raises the first error of the result.
        """
        key = query.cache_key(variables, make)
        if cached := self.answers.get(key, viewer):
            made, cost = cached
            await charge(cost)
            return made
        operation = self.static_operations[query]
        try:
            values = operation.coerce_variables(variables)
        except RequestError as refused:
            raise to_api_error(refused.errors[0]) from refused
        cost = operation.points(values)
        await charge(cost)
        outcome, reading = await self._execute_query(operation, values, viewer)
        for error in outcome.errors:
            raise to_api_error(error).with_traceback(None) from error
        texts = {key: text.encode() for key, text in outcome.texts.items()}
        made = make(texts, reading.reuse)
        self.answers.put(key, reading, (made, cost), sum(map(len, texts.values())))
        return made

    async def operation(self, request: GraphQLRequest) -> Operation:
        """What a request asks for, if that is valid and within bounds."""
        key = request.query, request.operation_name
        operation = self.documents.get(key)
        if operation is None:
            operation = await self.documents.get_or_create(
                key, partial(parse_operation, self.schema, self.limits, *key)
            )
        if operation.is_mutation and request.only_queries:
            raise MethodNotAllowed("Mutations are sent by POST")
        return operation

    async def _execute(
        self, operation: Operation, variables: VariableValues, request: GraphQLRequest, ctx: RequestContext
    ) -> tuple[bytes, list[Any], CacheTicket | None]:
        """The answer's data, its errors, and what was read for it, if that is all that there is to it."""
        if operation.is_mutation:
            outcome, reading = await self.mutations.execute(operation, variables, ctx), None
        else:
            outcome, reading = await self._execute_query(operation, variables, ctx.viewer)
        if outcome.complete:
            return outcome.to_bytes(), outcome.errors, reading
        result = await execute_remaining(operation, outcome, request.variables, ctx)
        return orjson.dumps(result.data), result.errors or [], None

    async def _execute_query(
        self, operation: Operation, variables: VariableValues, viewer: Viewer | None
    ) -> tuple[ExecutionResult, CacheTicket]:
        """All the root fields of a query, by one statement."""
        plan, values = await self.planner.query_plan(operation, variables, viewer), request_values(variables, viewer)
        taken = self.counts.load(plan, values, viewer) if plan.counts else ()
        parameters, refused = plan.bind(values)
        reading = self.answers.reading(plan, values, viewer)
        row = await self.reads.fetch_row(plan.sql, parameters) if plan.sql else ()
        self.counts.store(taken, row)
        return from_row(plan, row, refused), reading

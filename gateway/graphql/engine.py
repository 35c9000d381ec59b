"""Answers GraphQL requests: the one way in for every transport, and for REST's reads.

`str → Operation → Fields → Select → Plan` once per document and shape; `values → parameters → row → bytes` per request.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from inspect import isawaitable
from typing import Any

import orjson
import strawberry
from graphql import ExecutionResult, GraphQLSchema, execute
from graphql.execution.values import VariableValues

from gateway.graphql import mutations
from gateway.graphql.caching import Kept
from gateway.graphql.databases import ReadDatabase
from gateway.graphql.documents import DocumentLimits, Operation, read
from gateway.graphql.errors import RequestRefused, refusal_of
from gateway.graphql.given import shape
from gateway.graphql.outcomes import NULL, Outcome, body, spliced
from gateway.graphql.plans import Plan, Planner, Values, with_stand_ins
from gateway.graphql.selection import Field
from models import Viewer
from models.base import Entity
from models.errors import MethodNotAllowed
from resolvers.context import RequestContext

__all__ = ["Answer", "DocumentLimits", "Engine", "GraphQLRequest", "Named"]

MOST_DOCUMENTS, DOCUMENT_BYTES = 1_000, 8 * 2**20
MOST_PLANS, PLAN_BYTES = 4_000, 64 * 2**20


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks, whatever it came by."""

    query: str
    variables: dict[str, Any] | None = None
    operation_name: str | None = None
    only_queries: bool = False
    """A request that must change nothing, such as a GET."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole response, and what a log says of it."""

    body: bytes
    executed: bool = True
    """False of a request error: the body has no `data`."""
    errors: list[str] = field(default_factory=list)
    """The code of each error."""
    operation: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """A document of ours, valid since the start."""

    operation: Operation


class Engine:
    """Compiles what is asked to one statement, and splices what the database says into the answer."""

    def __init__(self, schema: strawberry.Schema, reads: ReadDatabase, limits: DocumentLimits | None = None) -> None:
        self.schema: GraphQLSchema = schema._schema
        self.reads, self.limits = reads, limits or DocumentLimits()
        self.planner = Planner(entities(self.schema), reads.dialect)
        aside = ThreadPoolExecutor(1, "compiling")
        """Documents that nobody has met wait for each other, never those that are known for them."""
        self.documents = Kept[Operation](aside, MOST_DOCUMENTS, DOCUMENT_BYTES, lambda key, operation: len(key[0]))
        self.plans = Kept[Plan](aside, MOST_PLANS, PLAN_BYTES, lambda key, plan: len(plan.sql))

    async def answer(self, request: GraphQLRequest, ctx: RequestContext) -> Answer:
        """The response to one request. Raises nothing: every refusal is in the body."""
        operation = None
        try:
            operation = await self.operation(request)
            variables = operation.coerced(request.variables)
        except RequestRefused as refused:
            return answered(None, refused.errors, operation, ctx)
        except Exception as error:
            return answered(None, [error], operation, ctx)
        try:
            return await self.executed(operation, variables, request, ctx)
        except Exception as error:
            return answered(NULL.encode(), [error], operation, ctx)

    async def executed(
        self, operation: Operation, variables: VariableValues, request: GraphQLRequest, ctx: RequestContext
    ) -> Answer:
        if operation.is_mutation:
            outcome, complete = await self.written(operation, variables, ctx)
        else:
            outcome, complete = await self.queried(operation, variables, ctx.viewer)
        if complete:
            return answered(outcome.data(), outcome.errors, operation, ctx)
        result = await self.completed(operation, outcome, request.variables, ctx)
        return answered(orjson.dumps(result.data), result.errors or (), operation, ctx)

    def named(self, source: str) -> Named:
        """A document that the server itself asks; one that is not valid stops the start."""
        return Named(read(self.schema, DocumentLimits(), source))

    async def read(self, named: Named, variables: dict[str, Any], viewer: Viewer | None) -> dict[str, bytes]:
        """The JSON text of each root field. The first refusal is raised; a root that is missing is `null`."""
        try:
            values = named.operation.coerced(variables)
        except RequestRefused as refused:
            raise refusal_of(refused.errors[0]) from refused
        outcome, _ = await self.queried(named.operation, values, viewer)
        for error in outcome.errors:
            raise refusal_of(error) from error
        return {key: text.encode() for key, text in outcome.texts.items()}

    async def operation(self, request: GraphQLRequest) -> Operation:
        key = request.query, request.operation_name
        make = partial(read, self.schema, self.limits, *key)
        operation = self.documents.get(key) or await self.documents.made(key, make)
        if operation.is_mutation and request.only_queries:
            raise MethodNotAllowed("Mutations are sent by POST")
        return operation

    async def queried(
        self, operation: Operation, variables: VariableValues, viewer: Viewer | None
    ) -> tuple[Outcome, bool]:
        """All the root fields of a query, by one statement."""
        key = operation, viewer and viewer.role, shape(variables.coerced)
        plan = await self.planned(key, partial(self.planner.query, operation, variables, viewer))
        bound, refused = plan.bind(values_of(variables, viewer))
        row = await self.reads.row(plan.sql, bound) if plan.sql else ()
        return spliced(plan, row, refused), plan.complete

    async def written(
        self, operation: Operation, variables: VariableValues, ctx: RequestContext
    ) -> tuple[Outcome, bool]:
        """Each root field in turn, until one that must not be null is refused."""
        outcome, selector = Outcome(), operation.selector(with_stand_ins(variables))
        fields = selector.fields()
        complete = len(fields) == len(selector.grouped()) and not any(field.is_computed for field in fields)
        for root in fields:
            try:
                outcome.tell(root.key, await self.done(operation, root, variables, ctx, complete=complete))
            except Exception as error:
                outcome.refuse(root, error)
                if root.required:
                    break
        return outcome, complete

    async def done(
        self, operation: Operation, root: Field, variables: VariableValues, ctx: RequestContext, *, complete: bool
    ) -> str:
        """Run one operation, then read what it returned as whoever is the viewer by then.

        A selection that would be refused is refused first, while nothing is written.
        """
        if root.operation is None:
            return mutations.leaf(root.parent)
        definition = self.schema.mutation_type.fields[root.nodes[0].name.value]
        arguments = mutations.arguments(root, definition, variables)
        shaping = {name: variables.coerced[name] for name in operation.shaping if name in variables.coerced}

        async def bound(result: Any) -> tuple[Plan, list[Any]]:
            key = operation, root.key, ctx.viewer and ctx.viewer.role, shape(shaping)
            plan = await self.planned(key, partial(self.planner.step, root, ctx.viewer, complete=complete))
            parameters, refused = plan.bind(values_of(variables, ctx.viewer) | {"result": result})
            for error in [*(each.refused for each in plan.roots if each.refused), *refused]:
                raise error
            return plan, parameters

        await bound(mutations.not_yet(root, self.planner.names.values()))
        result = mutations.returned(await root.operation(ctx, **arguments))
        plan, parameters = await bound(result)
        return mutations.spelled(root, plan, result, await self.reads.row(plan.sql, parameters) if plan.sql else ())

    async def planned(self, key: Any, make: Callable[[], Plan]) -> Plan:
        return self.plans.get(key) or await self.plans.made(key, make)

    async def completed(
        self, operation: Operation, outcome: Outcome, variables: dict[str, Any] | None, ctx: RequestContext
    ) -> ExecutionResult:
        """graphql-core's answer, for which ours is the root: what was read is not read again, nothing is done twice."""
        result = execute(
            self.schema,
            operation.document,
            outcome.source(),
            ctx,
            variables,
            operation.name,
        )
        return await result if isawaitable(result) else result


def values_of(variables: VariableValues, viewer: Viewer | None) -> Values:
    return {"variables": variables.coerced, "viewer": viewer and viewer.id}


def answered(data: bytes | None, errors: Any, operation: Operation | None, ctx: RequestContext) -> Answer:
    text, codes = body(data, errors, ctx.request_id)
    return Answer(text, data is not None, codes, operation and operation.name)


def entities(schema: GraphQLSchema) -> dict[type[Entity], str]:
    """The GraphQL name of every entity that the schema shows."""
    definitions = {name: type_.extensions.get("strawberry-definition") for name, type_ in schema.type_map.items()}
    found = {name: getattr(getattr(each, "origin", None), "entity", None) for name, each in definitions.items()}
    return {entity: name for name, entity in found.items() if entity}

"""Subscriptions: operations that are answered again for each event that is something to them.

The log says what happened, in order; the field's own function says what that is to it; and the selection is read for
whoever listens, as their rights are at that moment. Subscribers for whom that is the same statement share one answer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from graphql import GraphQLError, NullValueNode, Undefined, ValueNode, VariableNode
from graphql.execution.values import VariableValues

from gateway.events.entry import Entry, parse_event_id
from gateway.events.log import EventLog
from gateway.graphql.database import ReadDatabase
from gateway.graphql.documents.operation import Operation
from gateway.graphql.documents.selection import Field
from gateway.graphql.errors import RequestError, field_error
from gateway.graphql.execution.fallback import execute_remaining
from gateway.graphql.execution.mutations import Mutations
from gateway.graphql.execution.result import NULL, ExecutionResult
from gateway.graphql.execution.serialization import placeholder_result, serialize_field, to_mapping
from gateway.graphql.execution.single_flight import Shared
from gateway.graphql.planning.plan import Plan
from gateway.graphql.request import GraphQLRequest, build_response, truncate_name
from models import Role, Viewer
from models.errors import APIError, CursorExpired, Unavailable
from resolvers.context import RequestContext

RETRY = 0.5
"""Seconds until a database that was away is asked again."""


@dataclass(frozen=True, slots=True)
class EventResponse:
    """What a subscriber is told of one event: a whole response, and the cursor to go on from after it."""

    cursor: int
    body: bytes


@dataclass(slots=True)
class SharedResult:
    """What an event comes to, for all who share it."""

    data: bytes
    errors: Sequence[Exception] = ()
    body: bytes = field(init=False)
    """The response, encoded once, where there are no errors: those carry the id of each one's own request."""

    def __post_init__(self) -> None:
        self.body = b'{"data":' + self.data + b"}"


@dataclass(slots=True)
class ActiveSubscription:
    """One subscriber's operation."""

    request: GraphQLRequest
    operation: Operation
    variables: VariableValues
    field: Field
    ctx: RequestContext
    personal: dict[Role | None, bool] = field(default_factory=dict)
    """By role, whether the answer depends on who asks. Until that is known, it may."""
    selection_key: Hashable = field(init=False)
    """What it asks, as far as answers depend on it: `since` is not among that, for as an `ID` it names nothing."""

    def __post_init__(self) -> None:
        self.selection_key = self.operation, repr(self.variables.coerced)

    @property
    def visibility_key(self) -> Hashable:
        """Those with the same rights are told the same."""
        viewer = self.ctx.viewer
        role = viewer and viewer.role
        return viewer if self.personal.get(role, True) else role


class Subscriptions:
    """What all subscribers of an engine have in common."""

    def __init__(self, steps: Mutations, reads: ReadDatabase) -> None:
        """`steps` binds and reads what a field's function returned, as it does for mutations."""
        self.steps, self.reads = steps, reads
        self.shared: Shared[SharedResult | None] = Shared()
        self.waiting = 0
        """How many subscribers were told all there is."""

    async def subscribe(
        self,
        request: GraphQLRequest,
        operation: Operation,
        variables: VariableValues,
        ctx: RequestContext,
        log: EventLog,
        resumed: int | None,
    ) -> "Subscription":
        """Refuses now what each event would be refused for later: arguments, a selection, a cursor."""
        fields, _ = self.steps.planner.fields(operation, variables)
        if len(fields) != 1:
            raise RequestError([GraphQLError("A subscription has exactly one root field")])
        asked = ActiveSubscription(request, operation, variables, fields[0], ctx)
        try:
            arguments = self.steps.arguments(asked.field, variables)
            since = parse_since(asked.field, variables) if resumed is None else resumed
            if check := getattr(asked.field.operation, "admitted_by", None):
                await check(ctx, **arguments)
        except APIError as error:
            raise field_error(error, asked.field) from error
        await self.bound(asked, ctx, placeholder_result(is_entity=self.steps.planner.is_entity(asked.field)))
        if since is not None:
            await log.check_cursor(since)
        return Subscription(self, asked, arguments, log, await log.refresh_position() if since is None else since)

    async def bound(self, asked: ActiveSubscription, ctx: RequestContext, result: Any) -> tuple[Plan, list[Any]]:
        plan, parameters = await self.steps.bind(asked.operation, asked.field, asked.variables, ctx, result)
        asked.personal[ctx.viewer and ctx.viewer.role] = plan.is_personal
        return plan, parameters

    async def shared_result(self, asked: ActiveSubscription, entry: Entry, result: Any) -> SharedResult | None:
        """What the selection says of a result; None where the entity that it names is gone, or hidden."""
        key = asked.selection_key, asked.visibility_key, entry.id
        return await self.shared.run(key, lambda: self.read(asked, replace(asked.ctx), to_mapping(result)))

    async def read(self, asked: ActiveSubscription, ctx: RequestContext, named: Any) -> SharedResult | None:
        """`ctx` is as it was when this was asked for: others may be told the same, while that of `asked` goes on."""
        plan, parameters = await self.bound(asked, ctx, named)
        row = await self.reads.fetch_row(plan.sql, parameters) if plan.sql else ()
        if self.steps.planner.is_entity(asked.field) and row[plan.roots[0].column] is None:
            return None
        outcome = ExecutionResult(plan.complete)
        outcome.set_field(asked.field, serialize_field(asked.field, plan, named, row))
        if plan.complete:
            return SharedResult(outcome.to_bytes())
        whole = await execute_remaining(asked.operation, outcome, asked.request.variables, ctx)
        return SharedResult(orjson.dumps(whole.data), whole.errors or ())


class Subscription:
    """One subscriber, who stands at a cursor of the log."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        asked: ActiveSubscription,
        arguments: dict[str, Any],
        log: EventLog,
        cursor: int,
    ) -> None:
        self.subscriptions, self.asked, self.arguments, self.log = subscriptions, asked, arguments, log
        self.cursor, self.era = cursor, log.generation
        """Everything up to here has been told, or is nothing to this subscriber."""
        self.buffered: deque[Entry] = deque()

    @property
    def name(self) -> str | None:
        return truncate_name(self.asked.operation.name)

    async def next(self, viewer: Callable[[], Viewer | None]) -> EventResponse:
        """Wait for the next event that is something to the viewer of that moment. May be cancelled, and asked again.

        Refuses with `CursorExpired` a subscriber whom the log no longer reaches.
        """
        while True:
            try:
                if not self.buffered:
                    await self.fill_buffer()
                elif body := await self.process_next(viewer):
                    return EventResponse(self.cursor, body)
            except Unavailable:
                await asyncio.sleep(RETRY)

    async def fill_buffer(self) -> None:
        if self.era != self.log.generation:
            raise CursorExpired
        entries, cursor = await self.log.read_after(self.cursor)
        self.buffered.extend(entries)
        if not entries:
            self.cursor = cursor
            await self.wait_for_events()

    async def wait_for_events(self) -> None:
        """Wait for what comes next, if there is nothing yet."""
        if self.cursor < self.log.position:
            return
        self.subscriptions.waiting += 1
        try:
            await self.log.wait_for_growth(self.cursor)
        finally:
            self.subscriptions.waiting -= 1

    async def process_next(self, viewer: Callable[[], Viewer | None]) -> bytes | None:
        """What the next entry comes to; it counts as told once this returns."""
        entry, self.asked.ctx.viewer = self.buffered[0], viewer()
        result = self.asked.field.operation(entry, **self.arguments)
        body = None
        if result is not None and entry.visibility.includes(self.asked.ctx.viewer):
            body = await self.respond(entry, result)
        self.buffered.popleft()
        self.cursor = entry.id
        return body

    async def respond(self, entry: Entry, result: Any) -> bytes | None:
        """The response; a failure is told in it, but that the database is away."""
        try:
            said = await self.subscriptions.shared_result(self.asked, entry, result)
        except Unavailable:
            raise
        except Exception as error:
            error = error if isinstance(error, GraphQLError) else field_error(error, self.asked.field)
            said = SharedResult(NULL.encode(), [error])
        if said is None or not said.errors:
            return said and said.body
        return build_response(said.data, said.errors, self.name, self.asked.ctx.request_id).body


def parse_since(field: Field, variables: VariableValues) -> int | None:
    """What `since` says. Schemas call it an `ID`, which reads as a UUID: so it is taken as it was written."""
    given = [argument.value for argument in field.nodes[0].arguments or () if argument.name.value == "since"]
    return parse_event_id("since", raw_value(given[0], variables)) if given else None


def raw_value(node: ValueNode, variables: VariableValues) -> Any:
    """A value before its type has read it; None where there is none."""
    if isinstance(node, VariableNode):
        signature, value = variables.sources[node.name.value]
        if value is Undefined:
            return raw_value(signature.default.literal, variables) if signature.default else None
        return value
    return None if isinstance(node, NullValueNode) else node.value

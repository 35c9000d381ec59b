"""Subscriptions: operations whose selection is read again for each event that concerns them.

The log provides the events in order, the field's own function decides what an event means to the field, and the
selection is read with the subscriber's rights at that time. Subscribers with the same statement share one result.
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
from gateway.graphql.execution.result import (
    NULL,
    ExecutionResult,
    placeholder_result,
    serialize_field,
    to_mapping,
)
from gateway.graphql.execution.single_flight import SingleFlight
from gateway.graphql.planning.plan import Plan
from gateway.graphql.request import GraphQLRequest
from gateway.graphql.response import build_response, truncate_name
from models import Role, Viewer
from models.errors import APIError, CursorExpired, Unavailable
from resolvers.context import RequestContext

RETRY_INTERVAL_SECONDS = 0.5
"""The time between attempts to read while the database is unavailable."""


@dataclass(frozen=True, slots=True)
class EventResponse:
    """A response to one event, and the cursor to resume from after it."""

    cursor: int
    body: bytes


@dataclass(slots=True)
class SharedResult:
    """The result of one event for all subscribers that share it."""

    data: bytes
    errors: Sequence[Exception] = ()
    body: bytes = field(init=False)
    """The encoded response if there are no errors. Errors contain each subscriber's request id."""

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
    """By role, whether the result depends on the viewer. An unknown role counts as personal."""
    selection_key: Hashable = field(init=False)
    """The operation and variables, which results depend on. As an `ID`, every `since` coerces to the same value."""

    def __post_init__(self) -> None:
        self.selection_key = self.operation, repr(self.variables.coerced)

    @property
    def visibility_key(self) -> Hashable:
        """The viewer or role: subscribers with equal keys may see the same."""
        viewer = self.ctx.viewer
        role = viewer and viewer.role
        return viewer if self.personal.get(role, True) else role


class Subscriptions:
    """The state that all subscribers of an engine share."""

    def __init__(self, mutations: Mutations, reads: ReadDatabase) -> None:
        """`mutations` binds what a field's function returned, as it does for mutations."""
        self.mutations, self.reads = mutations, reads
        self.single_flight: SingleFlight[SharedResult | None] = SingleFlight()
        self.waiting = 0
        """The number of subscribers that have got every event so far."""

    async def subscribe(
        self,
        request: GraphQLRequest,
        operation: Operation,
        variables: VariableValues,
        ctx: RequestContext,
        log: EventLog,
        resume_after: int | None,
    ) -> "Subscription":
        """Start a subscription. Raises now what each event would raise: errors in arguments, selection or cursor."""
        fields, _ = self.mutations.planner.fields(operation, variables)
        if len(fields) != 1:
            raise RequestError([GraphQLError("A subscription has exactly one root field")])
        active = ActiveSubscription(request, operation, variables, fields[0], ctx)
        try:
            arguments = self.mutations.get_arguments(active.field, variables)
            since = parse_since(active.field, variables) if resume_after is None else resume_after
            if check := getattr(active.field.operation, "admitted_by", None):
                await check(ctx, **arguments)
        except APIError as error:
            raise field_error(error, active.field) from error
        await self.bind(active, ctx, placeholder_result(is_entity=self.mutations.planner.is_entity(active.field)))
        if since is not None:
            await log.check_cursor(since)
        return Subscription(self, active, arguments, log, await log.refresh_position() if since is None else since)

    async def bind(self, active: ActiveSubscription, ctx: RequestContext, returned: Any) -> tuple[Plan, list[Any]]:
        plan, parameters = await self.mutations.bind(active.operation, active.field, active.variables, ctx, returned)
        active.personal[ctx.viewer and ctx.viewer.role] = plan.is_personal
        return plan, parameters

    async def shared_result(self, active: ActiveSubscription, entry: Entry, returned: Any) -> SharedResult | None:
        """Return the event's result, read once for equal keys; None if its entity is deleted or not visible."""
        key = active.selection_key, active.visibility_key, entry.id
        return await self.single_flight.run(key, lambda: self.read(active, replace(active.ctx), to_mapping(returned)))

    async def read(self, active: ActiveSubscription, ctx: RequestContext, returned: Any) -> SharedResult | None:
        """Read the selection. `ctx` is a copy, because that of `active` changes while others wait for the result."""
        plan, parameters = await self.bind(active, ctx, returned)
        row = await self.reads.fetch_row(plan.sql, parameters) if plan.sql else ()
        if self.mutations.planner.is_entity(active.field) and row[plan.roots[0].column] is None:
            return None
        result = ExecutionResult(plan.complete)
        result.set_field(active.field, serialize_field(active.field, plan, returned, row))
        if plan.complete:
            return SharedResult(result.to_bytes())
        completed = await execute_remaining(active.operation, result, active.request.variables, ctx)
        return SharedResult(orjson.dumps(completed.data), completed.errors or ())


class Subscription:
    """One subscriber and its cursor in the log."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        active: ActiveSubscription,
        arguments: dict[str, Any],
        log: EventLog,
        cursor: int,
    ) -> None:
        self.subscriptions, self.active, self.arguments, self.log = subscriptions, active, arguments, log
        self.cursor, self.generation = cursor, log.generation
        """Every event up to the cursor has been sent, or does not concern this subscriber."""
        self.buffered: deque[Entry] = deque()

    @property
    def name(self) -> str | None:
        return truncate_name(self.active.operation.name)

    async def next(self, viewer: Callable[[], Viewer | None]) -> EventResponse:
        """Wait for the next event that concerns the viewer at that time. May be cancelled and called again.

        Raises `CursorExpired` if the events after the cursor have been pruned.
        """
        while True:
            try:
                if not self.buffered:
                    await self.fill_buffer()
                elif body := await self.process_next(viewer):
                    return EventResponse(self.cursor, body)
            except Unavailable:
                await asyncio.sleep(RETRY_INTERVAL_SECONDS)

    async def fill_buffer(self) -> None:
        """Read the entries after the cursor, or wait until there are any."""
        if self.generation != self.log.generation:
            raise CursorExpired
        entries, cursor = await self.log.read_after(self.cursor)
        if entries:
            self.buffered.extend(entries)
            return
        self.cursor = cursor
        if cursor >= self.log.position:
            self.subscriptions.waiting += 1
            try:
                await self.log.wait_for_growth(cursor)
            finally:
                self.subscriptions.waiting -= 1

    async def process_next(self, viewer: Callable[[], Viewer | None]) -> bytes | None:
        """Return the response to the next entry, if any, and advance the cursor once it is complete."""
        entry, self.active.ctx.viewer = self.buffered[0], viewer()
        returned = self.active.field.operation(entry, **self.arguments)
        body = None
        if returned is not None and entry.visibility.includes(self.active.ctx.viewer):
            body = await self.respond(entry, returned)
        self.buffered.popleft()
        self.cursor = entry.id
        return body

    async def respond(self, entry: Entry, returned: Any) -> bytes | None:
        """Return the encoded response, with errors in it. Raises `Unavailable` if the database is away."""
        try:
            shared = await self.subscriptions.shared_result(self.active, entry, returned)
        except Unavailable:
            raise
        except Exception as error:
            error = error if isinstance(error, GraphQLError) else field_error(error, self.active.field)
            shared = SharedResult(NULL.encode(), [error])
        if shared is None or not shared.errors:
            return shared and shared.body
        return build_response(shared.data, shared.errors, self.name, self.active.ctx.request_id).body


def parse_since(field: Field, variables: VariableValues) -> int | None:
    """Return the argument `since`. Its type `ID` coerces to a UUID, so read the value as the client wrote it."""
    values = [argument.value for argument in field.nodes[0].arguments or () if argument.name.value == "since"]
    return parse_event_id("since", raw_value(values[0], variables)) if values else None


def raw_value(node: ValueNode, variables: VariableValues) -> Any:
    """Return a value before coercion; None if there is none."""
    if isinstance(node, VariableNode):
        signature, value = variables.sources[node.name.value]
        if value is Undefined:
            return raw_value(signature.default.literal, variables) if signature.default else None
        return value
    return None if isinstance(node, NullValueNode) else node.value

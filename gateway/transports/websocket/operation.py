"""One operation over a WebSocket: a query, a mutation or a subscription."""

import time
from functools import partial
from typing import TYPE_CHECKING

from gateway.graphql.engine import GraphQLRequest, GraphQLResponse
from gateway.graphql.response import build_response
from gateway.http.errors import ERRORS_BY_CODE
from gateway.http.request_state import RequestState, current
from gateway.limits import API
from gateway.limits.open_streams import RETRY_AFTER_SECONDS
from gateway.observability.logging import log_request
from gateway.transports.login_attempts import limit_login_attempts
from gateway.transports.websocket.messages import MessageEncoder
from models.errors import APIError, CursorExpired, RateLimited
from resolvers.context import RequestContext

if TYPE_CHECKING:
    from gateway.transports.websocket.connection import GraphQLWebSocket


class SocketOperation:
    """An operation from its `subscribe` to its `complete`, with its own request id and log line."""

    def __init__(self, connection: "GraphQLWebSocket", id: str, request: GraphQLRequest, state: RequestState) -> None:
        self.connection, self.id, self.request, self.state = connection, id, request, state
        self.app_state = connection.app_state
        self.encoder = MessageEncoder(id)
        self.is_subscription = False
        self.is_executing = False
        """True while a query or mutation runs. It must not be cancelled, because it may be writing."""

    async def run(self) -> None:
        started_at, self.state.status = time.perf_counter(), 200
        current.set(self.state)
        ctx = self.connection.create_context(self.state.request_id)
        ctx.charge = partial(self.app_state.limits.charge_cost, self.state)
        try:
            await self.app_state.limits.check(API, self.state.caller, self.state)
            if self.request.reference or self.app_state.persisted.inspects_documents:
                self.request = await self.app_state.persisted.resolve(self.request, self.connection.client)
            await limit_login_attempts(self.app_state, [self.request], self.state)
            self.is_subscription = await self.app_state.engine.is_subscription(self.request)
            self.state.status = await (self.subscribe(ctx) if self.is_subscription else self.execute(ctx))
        except APIError as error:
            self.state.status = await self.send_error(build_response(None, [error], None, self.state.request_id))
        finally:
            self.connection.release_id(self)
            seconds = time.perf_counter() - started_at
            self.app_state.recorder.record_operation(self.state, seconds)
            log_request({"method": "WS", "path": self.connection.scope["path"]}, self.state, seconds)

    async def execute(self, ctx: RequestContext) -> int:
        """Execute a query or mutation and send its response. Return the status for metrics and logs."""
        self.is_executing = True
        with self.app_state.in_flight.slot():
            response = await self.app_state.engine.execute(self.request, ctx)
        if not response.has_data:
            return await self.send_error(response)
        self.state.operation, self.state.operation_type = response.operation, response.kind
        self.state.codes = tuple(response.errors)
        if self.connection.release_id(self):
            await self.connection.send(self.encoder.next(response.body))
            await self.connection.send(self.encoder.complete())
        return 200

    async def subscribe(self, ctx: RequestContext) -> int:
        """Send a subscription's events until it is cancelled or fails. Return the status of the error."""
        subscription = await self.app_state.engine.subscribe(self.request, ctx, self.app_state.log)
        if isinstance(subscription, GraphQLResponse):
            return await self.send_error(subscription)
        self.state.operation = subscription.name
        while True:
            try:
                event = await subscription.next(lambda: self.connection.viewer)
            except CursorExpired as error:
                return await self.send_error(build_response(None, [error], subscription.name, ctx.request_id))
            await self.connection.send(self.encoder.next(event.body))

    async def reject_over_limit(self) -> None:
        """Reject the operation because its connection has too many already."""
        await self.send_error(build_response(None, [RateLimited(RETRY_AFTER_SECONDS)], None, self.state.request_id))

    async def send_error(self, response: GraphQLResponse) -> int:
        """Send a response that has errors only. Return the status of the first one."""
        self.state.operation, self.state.codes = response.operation, tuple(response.errors)
        if self.connection.release_id(self):
            await self.connection.send(self.encoder.error(response.body))
        return ERRORS_BY_CODE[response.errors[0]].status

"""One operation over a socket: a single answer, or a subscription."""

import time
from functools import partial
from typing import Protocol

from gateway.graphql.engine import GraphQLRequest, GraphQLResponse
from gateway.graphql.response import build_response
from gateway.http.errors import OF_CODE
from gateway.http.request_state import RequestState, current
from gateway.limits import API
from gateway.limits.open_streams import RETRY_AFTER_SECONDS
from gateway.observability.logging import log_request
from gateway.persisted.client_info import Client
from gateway.state import AppState
from gateway.transports.login_attempts import limit_login_attempts
from gateway.transports.websocket.messages import MessageEncoder
from models import Viewer
from models.errors import APIError, CursorExpired, RateLimited
from resolvers.context import RequestContext


class OperationConnection(Protocol):
    """The socket, as its operations know it."""

    gateway: AppState
    scope: dict
    client: Client

    @property
    def viewer(self) -> Viewer | None: ...

    def context(self, request_id: str) -> RequestContext: ...

    async def send(self, text: str) -> None: ...

    def release_id(self, operation: "SocketOperation") -> bool:
        """The operation's id is free again; False if it was already, for then nobody waits for an answer."""


class SocketOperation:
    """An operation from its `subscribe` to its `complete`, with a request id and a line in the log of its own."""

    def __init__(self, line: OperationConnection, id: str, request: GraphQLRequest, visit: RequestState) -> None:
        self.line, self.id, self.request, self.visit = line, id, request, visit
        self.envelope = MessageEncoder(id)
        self.is_subscription = False
        """Whether it turned out to be a subscription."""
        self.is_executing = False
        """Whether the engine is at it, so that it must not be broken off."""

    async def run(self) -> None:
        started, self.visit.status = time.perf_counter(), 200
        current.set(self.visit)
        ctx = self.line.context(self.visit.request_id)
        ctx.charge = partial(self.line.gateway.limits.charge_cost, self.visit)
        try:
            await self.line.gateway.limits.check(API, self.visit.caller, self.visit)
            await self.resolve()
            await limit_login_attempts(self.line.gateway, [self.request], self.visit)
            self.is_subscription = await self.line.gateway.engine.is_subscription(self.request)
            self.visit.status = await (self.stream(ctx) if self.is_subscription else self.answer(ctx))
        except APIError as refusal:
            self.visit.status = await self.send_error(build_response(None, [refusal], None, self.visit.request_id))
        finally:
            self.line.release_id(self)
            seconds = time.perf_counter() - started
            self.line.gateway.recorder.record_operation(self.visit, seconds)
            log_request({"method": "WS", "path": self.line.scope["path"]}, self.visit, seconds)

    async def resolve(self) -> None:
        """Learn which document is meant, and whether it may be asked."""
        persisted = self.line.gateway.persisted
        if self.request.reference or persisted.inspects_documents:
            self.request = await persisted.resolve(self.request, self.line.client)

    async def answer(self, ctx: RequestContext) -> int:
        gateway, self.is_executing = self.line.gateway, True
        with gateway.in_flight.slot():
            answer = await gateway.engine.execute(self.request, ctx)
        if not answer.has_data:
            return await self.send_error(answer)
        self.visit.operation, self.visit.operation_type, self.visit.codes = (
            answer.operation,
            answer.kind,
            tuple(answer.errors),
        )
        if self.line.release_id(self):
            await self.line.send(self.envelope.next(answer.body))
            await self.line.send(self.envelope.complete())
        return 200

    async def stream(self, ctx: RequestContext) -> int:
        """Until it is broken off, or the log no longer reaches it."""
        gateway, line = self.line.gateway, self.line
        subscription = await gateway.engine.subscribe(self.request, ctx, gateway.log)
        if isinstance(subscription, GraphQLResponse):
            return await self.send_error(subscription)
        self.visit.operation = subscription.name
        while True:
            try:
                told = await subscription.next(lambda: line.viewer)
            except CursorExpired as refusal:
                return await self.send_error(build_response(None, [refusal], subscription.name, ctx.request_id))
            await line.send(self.envelope.next(told.body))

    async def refuse_one_too_many(self) -> None:
        await self.send_error(build_response(None, [RateLimited(RETRY_AFTER_SECONDS)], None, self.visit.request_id))

    async def send_error(self, answer: GraphQLResponse) -> int:
        self.visit.operation, self.visit.codes = answer.operation, tuple(answer.errors)
        if self.line.release_id(self):
            await self.line.send(self.envelope.error(answer.body))
        return OF_CODE[answer.errors[0]].status

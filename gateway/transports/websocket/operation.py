"""One operation over a socket: a single answer, or a subscription."""

import time
from functools import partial
from typing import Protocol

from gateway.graphql.engine import Answer, GraphQLRequest
from gateway.graphql.request import answered
from gateway.http.errors import OF_CODE
from gateway.http.request_state import Visit, present
from gateway.limits import API
from gateway.limits.open_streams import RETRY_AFTER_SECONDS
from gateway.observability.logging import log_request
from gateway.persisted.client_info import Client
from gateway.transports.login_attempts import limit_login_attempts
from gateway.transports.websocket.messages import Envelope
from gateway.wiring import Gateway
from models import Viewer
from models.errors import CursorExpired, RateLimited, Refusal
from resolvers.context import RequestContext


class Line(Protocol):
    """The socket, as its operations know it."""

    gateway: Gateway
    scope: dict
    client: Client

    @property
    def viewer(self) -> Viewer | None: ...

    def context(self, request_id: str) -> RequestContext: ...

    async def say(self, text: str) -> None: ...

    def forget(self, operation: "Operating") -> bool:
        """The operation's id is free again; False if it was already, for then nobody waits for an answer."""


class Operating:
    """An operation from its `subscribe` to its `complete`, with a request id and a line in the log of its own."""

    def __init__(self, line: Line, id: str, request: GraphQLRequest, visit: Visit) -> None:
        self.line, self.id, self.request, self.visit = line, id, request, visit
        self.envelope = Envelope(id)
        self.goes_on = False
        """Whether it turned out to be a subscription."""
        self.may_write = False
        """Whether the engine is at it, so that it must not be broken off."""

    async def run(self) -> None:
        started, self.visit.status = time.perf_counter(), 200
        present.set(self.visit)
        ctx = self.line.context(self.visit.request_id)
        ctx.charge = partial(self.line.gateway.limits.charge_cost, self.visit)
        try:
            await self.line.gateway.limits.check(API, self.visit.caller, self.visit)
            await self.resolve()
            await limit_login_attempts(self.line.gateway, [self.request], self.visit)
            self.goes_on = await self.line.gateway.engine.is_subscription(self.request)
            self.visit.status = await (self.follow(ctx) if self.goes_on else self.answer(ctx))
        except Refusal as refusal:
            self.visit.status = await self.refuse(answered(None, [refusal], None, self.visit.request_id))
        finally:
            self.line.forget(self)
            seconds = time.perf_counter() - started
            self.line.gateway.recorder.record_operation(self.visit, seconds)
            log_request({"method": "WS", "path": self.line.scope["path"]}, self.visit, seconds)

    async def resolve(self) -> None:
        """Learn which document is meant, and whether it may be asked."""
        persisted = self.line.gateway.persisted
        if self.request.reference or persisted.heeds_texts:
            self.request = await persisted.resolved(self.request, self.line.client)

    async def answer(self, ctx: RequestContext) -> int:
        gateway, self.may_write = self.line.gateway, True
        with gateway.work.one():
            answer = await gateway.engine.answer(self.request, ctx)
        if not answer.executed:
            return await self.refuse(answer)
        self.visit.operation, self.visit.kind, self.visit.codes = answer.operation, answer.kind, tuple(answer.errors)
        if self.line.forget(self):
            await self.line.say(self.envelope.next(answer.body))
            await self.line.say(self.envelope.complete())
        return 200

    async def follow(self, ctx: RequestContext) -> int:
        """Until it is broken off, or the log no longer reaches it."""
        gateway, line = self.line.gateway, self.line
        subscription = await gateway.engine.subscribe(self.request, ctx, gateway.log)
        if isinstance(subscription, Answer):
            return await self.refuse(subscription)
        self.visit.operation = subscription.name
        while True:
            try:
                told = await subscription.next(lambda: line.viewer)
            except CursorExpired as refusal:
                return await self.refuse(answered(None, [refusal], subscription.name, ctx.request_id))
            await line.say(self.envelope.next(told.body))

    async def refuse_one_too_many(self) -> None:
        await self.refuse(answered(None, [RateLimited(RETRY_AFTER_SECONDS)], None, self.visit.request_id))

    async def refuse(self, answer: Answer) -> int:
        self.visit.operation, self.visit.codes = answer.operation, tuple(answer.errors)
        if self.line.forget(self):
            await self.line.say(self.envelope.error(answer.body))
        return OF_CODE[answer.errors[0]].status

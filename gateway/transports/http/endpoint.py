"""GraphQL over HTTP: the thin end that faces clients. The engine behind it knows nothing of HTTP."""

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.request import attach_session_cookies, authenticate_and_limit
from gateway.events.entry import event_id
from gateway.graphql.engine import Answer, GraphQLRequest
from gateway.graphql.request import CostReport
from gateway.graphql.request import answered as refusing
from gateway.http.conditional import VARY, cache_control, unless_known
from gateway.http.content_negotiation import (
    EVENT_STREAM,
    JSON,
    accepted,
    best,
    best_stream,
    is_json,
    is_legacy,
    preferred,
    prefers_html,
)
from gateway.http.errors import OF_CODE
from gateway.http.idempotency import HEADER, once
from gateway.http.json_request import Asked
from gateway.http.request_state import Visit, visit_of
from gateway.http.responses import Ready, written
from gateway.http.routing import Direct
from gateway.limits import API
from gateway.pages import graphiql_page
from gateway.persisted.client_info import client_of
from gateway.transports.http.batching import entries, in_turn
from gateway.transports.http.idempotency import FORM, may_repeat, meant
from gateway.transports.http.parsing import from_query_string, parsed, request_of
from gateway.transports.http.stream_formats import FORMS, single
from gateway.transports.http.streaming import Streamed
from gateway.transports.login_attempts import limit_login_attempts
from gateway.wiring import get_state
from models.errors import MethodNotAllowed, NotAcceptable, Refusal, Unavailable, UnsupportedMediaType, ValidationError
from resolvers.context import RequestContext

METHODS = ["GET", "POST"]
COST = b"graphql-cost"
HEAD = written([(b"cache-control", b"no-store"), (b"vary", b"Accept")])
"""An answer is for who asked, in the form that they asked for."""
VARY_OF_GET = written([(b"vary", f"Accept, {VARY}".encode())])


class GraphQLEndpoint(Direct):
    """`/graphql`, as plain ASGI: a framework's route would cost as much again as the query."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await respond(Asked(scope, receive))
        await response(scope, receive, send)


async def respond(request: Request) -> ASGIApp:
    gateway, visit, accept = get_state(request), visit_of(request.scope), accepted(request.scope)
    if gateway.settings.explorable and is_browser(request):
        return graphiql_page()
    ctx = await authenticate_and_limit(request, API)
    media_type, stream = best(accept), best_stream(accept)
    if media_type is None and stream is None:
        raise NotAcceptable
    asked = await read(request, gateway.settings.graphql_max_batch)
    if isinstance(asked, list):
        return await batched(request, asked, ctx, media_type)
    if asked.reference or gateway.persisted.heeds_texts:
        asked = await resolved(request, asked, ctx)
        if isinstance(asked, Answer):
            return refused(request, asked, stream)
    if (wish := visit.header(COST)) is not None:
        asked = replace(asked, cost=report_of(wish))
    if stream and await gateway.engine.is_subscription(asked):
        return await subscribed(request, asked, ctx, stream)
    if media_type is None and stream != EVENT_STREAM:
        raise NotAcceptable
    media_type = media_type or EVENT_STREAM
    await limit_login_attempts(gateway, [asked], visit)
    answer = partial(gateway.engine.answer, asked, ctx)
    if HEADER in visit.given and await may_repeat(gateway.engine, [asked]):
        answer = partial(once, request, ctx, meant(asked), answer, FORM)
    return executed(request, await answer(), ctx, media_type)


def executed(request: Request, answer: Answer, ctx: RequestContext, media_type: str) -> Response:
    visit = visit_of(request.scope)
    note(visit, answer)
    attach_session_cookies(request, ctx)
    if request.scope["method"] == "GET" and media_type != EVENT_STREAM and answer.executed and not answer.errors:
        return read_again(answer, visit, media_type)
    return answered(answer, media_type, request.scope)


async def batched(
    request: Request, requests: list[GraphQLRequest], ctx: RequestContext, media_type: str | None
) -> ASGIApp:
    """Each of them counts in the limits as if it had come by itself."""
    gateway, visit = get_state(request), visit_of(request.scope)
    if media_type is None:
        raise NotAcceptable
    if others := len(requests) - 1:
        await gateway.limits.check(API, visit.caller, visit, others)
    requests = [await resolved(request, asked, ctx) for asked in requests]
    await limit_login_attempts(gateway, [asked for asked in requests if isinstance(asked, GraphQLRequest)], visit)
    answer = partial(in_turn, gateway.engine, requests, ctx)
    if HEADER in visit.given and await may_repeat(gateway.engine, requests):
        answer = partial(once, request, ctx, meant(requests), answer, FORM)
    return executed(request, await answer(), ctx, media_type)


def read_again(answer: Answer, visit: Visit, media_type: str) -> Response:
    """What a GET reads may be kept, and asked for again under the tag that it has."""
    head = cache_control(answer.reuse, visit) + VARY_OF_GET
    return unless_known(answer.body, answer.etag, visit, head, media_type.encode())


async def subscribed(request: Request, asked: GraphQLRequest, ctx: RequestContext, stream: str) -> ASGIApp:
    """A stream; one that is refused before it begins has a plain answer, unless nothing but events is accepted."""
    gateway, visit = get_state(request), visit_of(request.scope)
    resumed = event_id("Last-Event-ID", visit.header(b"last-event-id"))
    subscription = await gateway.engine.subscribe(asked, ctx, gateway.log, resumed)
    if isinstance(subscription, Answer):
        return refused(request, subscription, stream)
    visit.operation = subscription.name
    return Streamed(subscription, FORMS[stream], ctx, gateway.session_monitor, gateway.streams)


async def resolved(request: Request, asked: GraphQLRequest, ctx: RequestContext) -> GraphQLRequest | Answer:
    """The request with the text of the document that it names, or the answer that says why there is none."""
    try:
        return await get_state(request).persisted.resolved(asked, client_of(request.headers))
    except Unavailable:
        raise  # it passes by itself, which clients are told by its status and `Retry-After`
    except Refusal as refusal:
        return refusing(None, [refusal], asked.operation_name, ctx.request_id)


def refused(request: Request, answer: Answer, stream: str | None) -> Response:
    """The answer to a request of which nothing was executed, whatever it would have been."""
    note(visit_of(request.scope), answer)
    media_type = preferred(request.scope) or (EVENT_STREAM if stream == EVENT_STREAM else JSON)
    return answered(answer, media_type, request.scope)


def is_browser(request: Request) -> bool:
    """Somebody who typed the address; programs ask for JSON, and for something."""
    if request.method != "GET" or any(name in request.scope["query_string"] for name in (b"query=", b"documentId=")):
        return False
    return prefers_html(request.headers.get("accept", ""))


async def read(request: Request, most: int) -> GraphQLRequest | list[GraphQLRequest]:
    """What is asked; several requests where so many may be."""
    if request.scope["method"] == "GET":
        return request_of(from_query_string(request.scope["query_string"]), only_queries=True)
    if not is_json(visit_of(request.scope).header(b"content-type")):
        raise UnsupportedMediaType("A GraphQL request's body is application/json")
    parameters = parsed(await request.body(), "body")
    if isinstance(parameters, list):
        return [request_of(entry) for entry in entries(parameters, most)]
    return request_of(parameters)


def report_of(wish: str) -> CostReport:
    """What a client wants to know of the cost."""
    try:
        return CostReport(wish.strip().lower())
    except ValueError as error:
        raise ValidationError.of(**{"GraphQL-Cost": "must be report or validate"}) from error


def note(visit: Visit, answer: Answer) -> None:
    visit.operation, visit.kind, visit.codes = answer.operation, answer.kind, tuple(answer.errors)


def answered(answer: Answer, media_type: str, scope: Scope) -> Response:
    """A request that was not executed has its refusal's status; one that was may still carry errors beside its data.

    A stream of one tells of either: its clients take another status for a broken line, and would try again.
    """
    kind = None if answer.executed else OF_CODE[answer.errors[0]]
    if kind is MethodNotAllowed:
        return Ready(kind.status, HEAD + b"allow: POST\r\n", answer.body, plain(media_type).encode())
    if media_type == EVENT_STREAM:
        return Ready(200, HEAD, single(answer.body), FORMS[EVENT_STREAM].media_type.encode())
    return Ready(status_of(kind, scope) if kind else 200, HEAD, answer.body, media_type.encode())


def status_of(kind: type[Refusal], scope: Scope) -> int:
    """A refusal's own status; to clients from before GraphQL's own type, what is wrong with a document is a 200."""
    return 200 if kind is ValidationError and is_legacy(scope) else kind.status


def plain(media_type: str) -> str:
    return JSON if media_type == EVENT_STREAM else media_type

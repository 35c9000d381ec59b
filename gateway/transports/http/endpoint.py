"""GraphQL over HTTP: the thin end that faces clients. The engine behind it knows nothing of HTTP."""

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.request import attach_session_cookies, authenticate_and_limit
from gateway.events.entry import parse_event_id
from gateway.graphql.engine import GraphQLRequest, GraphQLResponse
from gateway.graphql.request import CostReport
from gateway.graphql.response import build_response as refusing
from gateway.http.conditional import VARY, cache_control, conditional_response
from gateway.http.content_negotiation import (
    EVENT_STREAM,
    JSON,
    accept_header,
    expects_legacy_json,
    is_json,
    negotiate,
    negotiate_media_type,
    negotiate_stream,
    prefers_html,
)
from gateway.http.errors import OF_CODE
from gateway.http.idempotency import HEADER, run_idempotent
from gateway.http.json_request import JsonRequest
from gateway.http.request_state import RequestState, get_request_state
from gateway.http.responses import RawResponse, encode_headers
from gateway.http.routing import FastRoute
from gateway.limits import API
from gateway.pages import graphiql_page
from gateway.persisted.client_info import parse_client
from gateway.state import get_state
from gateway.transports.http.batching import execute_batch, parse_batch
from gateway.transports.http.idempotency import FORM, accepts_idempotency_key, fingerprint_body
from gateway.transports.http.parsing import parse_json, parse_query_string, parse_request
from gateway.transports.http.stream_formats import STREAM_FORMATS, single_response
from gateway.transports.http.streaming import SubscriptionResponse
from gateway.transports.login_attempts import limit_login_attempts
from models.errors import APIError, MethodNotAllowed, NotAcceptable, Unavailable, UnsupportedMediaType, ValidationError
from resolvers.context import RequestContext

METHODS = ["GET", "POST"]
COST = b"graphql-cost"
HEAD = encode_headers([(b"cache-control", b"no-store"), (b"vary", b"Accept")])
"""An answer is for who asked, in the form that they asked for."""
VARY_OF_GET = encode_headers([(b"vary", f"Accept, {VARY}".encode())])


class GraphQLEndpoint(FastRoute):
    """`/graphql`, as plain ASGI: a framework's route would cost as much again as the query."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(JsonRequest(scope, receive))
        await response(scope, receive, send)


async def handle(request: Request) -> ASGIApp:
    gateway, visit, accept = get_state(request), get_request_state(request.scope), accept_header(request.scope)
    if gateway.settings.introspection_enabled and is_browser(request):
        return graphiql_page()
    ctx = await authenticate_and_limit(request, API)
    media_type, stream = negotiate_media_type(accept), negotiate_stream(accept)
    if media_type is None and stream is None:
        raise NotAcceptable
    asked = await parse_body(request, gateway.settings.graphql_max_batch)
    if isinstance(asked, list):
        return await handle_batch(request, asked, ctx, media_type)
    if asked.reference or gateway.persisted.inspects_documents:
        asked = await resolve_document(request, asked, ctx)
        if isinstance(asked, GraphQLResponse):
            return error_response(request, asked, stream)
    if (wish := visit.header(COST)) is not None:
        asked = replace(asked, cost=parse_cost_header(wish))
    if stream and await gateway.engine.is_subscription(asked):
        return await subscribe_response(request, asked, ctx, stream)
    if media_type is None and stream != EVENT_STREAM:
        raise NotAcceptable
    media_type = media_type or EVENT_STREAM
    await limit_login_attempts(gateway, [asked], visit)
    answer = partial(gateway.engine.execute, asked, ctx)
    if HEADER in visit.headers and await accepts_idempotency_key(gateway.engine, [asked]):
        answer = partial(run_idempotent, request, ctx, fingerprint_body(asked), answer, FORM)
    return execute_response(request, await answer(), ctx, media_type)


def execute_response(request: Request, answer: GraphQLResponse, ctx: RequestContext, media_type: str) -> Response:
    visit = get_request_state(request.scope)
    record(visit, answer)
    attach_session_cookies(request, ctx)
    if request.scope["method"] == "GET" and media_type != EVENT_STREAM and answer.has_data and not answer.errors:
        return cacheable_response(answer, visit, media_type)
    return to_response(answer, media_type, request.scope)


async def handle_batch(
    request: Request, requests: list[GraphQLRequest], ctx: RequestContext, media_type: str | None
) -> ASGIApp:
    """Each of them counts in the limits as if it had come by itself."""
    gateway, visit = get_state(request), get_request_state(request.scope)
    if media_type is None:
        raise NotAcceptable
    if others := len(requests) - 1:
        await gateway.limits.check(API, visit.caller, visit, others)
    requests = [await resolve_document(request, asked, ctx) for asked in requests]
    await limit_login_attempts(gateway, [asked for asked in requests if isinstance(asked, GraphQLRequest)], visit)
    answer = partial(execute_batch, gateway.engine, requests, ctx)
    if HEADER in visit.headers and await accepts_idempotency_key(gateway.engine, requests):
        answer = partial(run_idempotent, request, ctx, fingerprint_body(requests), answer, FORM)
    return execute_response(request, await answer(), ctx, media_type)


def cacheable_response(answer: GraphQLResponse, visit: RequestState, media_type: str) -> Response:
    """What a GET reads may be kept, and asked for again under the tag that it has."""
    head = cache_control(answer.cache_control, visit) + VARY_OF_GET
    return conditional_response(answer.body, answer.etag, visit, head, media_type.encode())


async def subscribe_response(request: Request, asked: GraphQLRequest, ctx: RequestContext, stream: str) -> ASGIApp:
    """A stream; one that is refused before it begins has a plain answer, unless nothing but events is accepted."""
    gateway, visit = get_state(request), get_request_state(request.scope)
    resumed = parse_event_id("Last-Event-ID", visit.header(b"last-event-id"))
    subscription = await gateway.engine.subscribe(asked, ctx, gateway.log, resumed)
    if isinstance(subscription, GraphQLResponse):
        return error_response(request, subscription, stream)
    visit.operation = subscription.name
    return SubscriptionResponse(subscription, STREAM_FORMATS[stream], ctx, gateway.session_monitor, gateway.streams)


async def resolve_document(
    request: Request, asked: GraphQLRequest, ctx: RequestContext
) -> GraphQLRequest | GraphQLResponse:
    """The request with the text of the document that it names, or the answer that says why there is none."""
    try:
        return await get_state(request).persisted.resolve(asked, parse_client(request.headers))
    except Unavailable:
        raise  # it passes by itself, which clients are told by its status and `Retry-After`
    except APIError as refusal:
        return refusing(None, [refusal], asked.operation_name, ctx.request_id)


def error_response(request: Request, answer: GraphQLResponse, stream: str | None) -> Response:
    """The answer to a request of which nothing was executed, whatever it would have been."""
    record(get_request_state(request.scope), answer)
    media_type = negotiate(request.scope) or (EVENT_STREAM if stream == EVENT_STREAM else JSON)
    return to_response(answer, media_type, request.scope)


def is_browser(request: Request) -> bool:
    """Somebody who typed the address; programs ask for JSON, and for something."""
    if request.method != "GET" or any(name in request.scope["query_string"] for name in (b"query=", b"documentId=")):
        return False
    return prefers_html(request.headers.get("accept", ""))


async def parse_body(request: Request, most: int) -> GraphQLRequest | list[GraphQLRequest]:
    """What is asked; several requests where so many may be."""
    if request.scope["method"] == "GET":
        return parse_request(parse_query_string(request.scope["query_string"]), only_queries=True)
    if not is_json(get_request_state(request.scope).header(b"content-type")):
        raise UnsupportedMediaType("A GraphQL request's body is application/json")
    parameters = parse_json(await request.body(), "body")
    if isinstance(parameters, list):
        return [parse_request(entry) for entry in parse_batch(parameters, most)]
    return parse_request(parameters)


def parse_cost_header(wish: str) -> CostReport:
    """What a client wants to know of the cost."""
    try:
        return CostReport(wish.strip().lower())
    except ValueError as error:
        raise ValidationError.for_fields(**{"GraphQL-Cost": "must be report or validate"}) from error


def record(visit: RequestState, answer: GraphQLResponse) -> None:
    visit.operation, visit.operation_type, visit.codes = answer.operation, answer.kind, tuple(answer.errors)


def to_response(answer: GraphQLResponse, media_type: str, scope: Scope) -> Response:
    """A request that was not executed has its refusal's status; one that was may still carry errors beside its data.

    A stream of one tells of either: its clients take another status for a broken line, and would try again.
    """
    kind = None if answer.has_data else OF_CODE[answer.errors[0]]
    if kind is MethodNotAllowed:
        return RawResponse(kind.status, HEAD + b"allow: POST\r\n", answer.body, non_stream_type(media_type).encode())
    if media_type == EVENT_STREAM:
        return RawResponse(200, HEAD, single_response(answer.body), STREAM_FORMATS[EVENT_STREAM].media_type.encode())
    return RawResponse(status_of(kind, scope) if kind else 200, HEAD, answer.body, media_type.encode())


def status_of(kind: type[APIError], scope: Scope) -> int:
    """A refusal's own status; to clients from before GraphQL's own type, what is wrong with a document is a 200."""
    return 200 if kind is ValidationError and expects_legacy_json(scope) else kind.status


def non_stream_type(media_type: str) -> str:
    return JSON if media_type == EVENT_STREAM else media_type

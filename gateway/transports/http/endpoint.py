"""`/graphql`: GraphQL over HTTP."""

from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth.request import attach_session_cookies, authenticate_and_limit
from gateway.events.entry import parse_event_id
from gateway.graphql.engine import GraphQLRequest, GraphQLResponse
from gateway.graphql.request import CostReport
from gateway.graphql.response import build_response
from gateway.http.conditional import VARY, cache_control, conditional_response
from gateway.http.content_negotiation import (
    EVENT_STREAM,
    JSON,
    accept_header,
    expects_legacy_json,
    is_json,
    negotiate,
    negotiate_stream,
    prefers_html,
)
from gateway.http.errors import ERRORS_BY_CODE
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
from gateway.transports.http.idempotency import CODEC, Batch, accepts_idempotency_key, serialize_body
from gateway.transports.http.parsing import parse_json, parse_query_string, parse_request
from gateway.transports.http.stream_formats import STREAM_FORMATS, single_response
from gateway.transports.http.streaming import SubscriptionResponse
from gateway.transports.login_attempts import limit_login_attempts
from models.errors import APIError, MethodNotAllowed, NotAcceptable, Unavailable, UnsupportedMediaType, ValidationError
from resolvers.context import RequestContext

METHODS = ["GET", "POST"]
COST_HEADER = b"graphql-cost"
HEADERS = encode_headers([(b"cache-control", b"no-store"), (b"vary", b"Accept")])
CACHEABLE_VARY = encode_headers([(b"vary", f"Accept, {VARY}".encode())])


class GraphQLEndpoint(FastRoute):
    """The endpoint as plain ASGI: a route of FastAPI would cost as much again as the query."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await handle(JsonRequest(scope, receive))
        await response(scope, receive, send)


async def handle(request: Request) -> ASGIApp:
    app_state, state, accept = get_state(request), get_request_state(request.scope), accept_header(request.scope)
    if app_state.settings.introspection_enabled and is_browser(request, accept):
        return graphiql_page()
    ctx = await authenticate_and_limit(request, API)
    media_type, stream = negotiate(accept), negotiate_stream(accept)
    if media_type is None and stream is None:
        raise NotAcceptable
    body = await parse_body(request, app_state.settings.graphql_max_batch)
    if isinstance(body, list):
        return await handle_batch(request, body, ctx, media_type)
    if body.reference or app_state.persisted.inspects_documents:
        body = await resolve_document(request, body, ctx)
        if isinstance(body, GraphQLResponse):
            return error_response(request, body, media_type, stream)
    if (cost_report := state.header(COST_HEADER)) is not None:
        body = replace(body, cost=parse_cost_header(cost_report))
    if stream and await app_state.engine.is_subscription(body):
        return await subscribe_response(request, body, ctx, media_type, stream)
    if media_type is None and stream != EVENT_STREAM:
        raise NotAcceptable
    return await execute_response(request, body, ctx, media_type or EVENT_STREAM)


async def handle_batch(
    request: Request, requests: list[GraphQLRequest], ctx: RequestContext, media_type: str | None
) -> ASGIApp:
    """Execute a batch. Each of its requests counts in the rate limit."""
    if media_type is None:
        raise NotAcceptable
    if others := len(requests) - 1:
        state = get_request_state(request.scope)
        await get_state(request).limits.check(API, state.caller, state, others)
    resolved = [await resolve_document(request, each, ctx) for each in requests]
    return await execute_response(request, resolved, ctx, media_type)


async def execute_response(
    request: Request, body: GraphQLRequest | Batch, ctx: RequestContext, media_type: str
) -> Response:
    """Execute a request or a batch, once for each `Idempotency-Key`, and return its response."""
    app_state, state = get_state(request), get_request_state(request.scope)
    if isinstance(body, GraphQLRequest):
        requests, execute = [body], partial(app_state.engine.execute, body, ctx)
    else:
        requests, execute = body, partial(execute_batch, app_state.engine, body, ctx)
    await limit_login_attempts(app_state, requests, state)
    if HEADER in state.headers and await accepts_idempotency_key(app_state.engine, requests):
        execute = partial(run_idempotent, request, ctx, serialize_body(body), execute, CODEC)
    result = await execute()
    record(state, result)
    attach_session_cookies(request, ctx)
    if request.scope["method"] == "GET" and media_type != EVENT_STREAM and result.has_data and not result.errors:
        head = cache_control(result.cache_control, state) + CACHEABLE_VARY
        return conditional_response(result.body, result.etag, state, head, media_type.encode())
    return to_response(result, media_type, request.scope)


async def subscribe_response(
    request: Request, graphql_request: GraphQLRequest, ctx: RequestContext, media_type: str | None, stream: str
) -> ASGIApp:
    """Start a subscription. An error before it starts gets a response of its own instead of a stream."""
    app_state, state = get_state(request), get_request_state(request.scope)
    last_event_id = parse_event_id("Last-Event-ID", state.header(b"last-event-id"))
    subscription = await app_state.engine.subscribe(graphql_request, ctx, app_state.log, last_event_id)
    if isinstance(subscription, GraphQLResponse):
        return error_response(request, subscription, media_type, stream)
    state.operation = subscription.name
    return SubscriptionResponse(subscription, STREAM_FORMATS[stream], ctx, app_state.session_monitor, app_state.streams)


async def resolve_document(
    request: Request, graphql_request: GraphQLRequest, ctx: RequestContext
) -> GraphQLRequest | GraphQLResponse:
    """Return the request with the text of the document that it refers to, or a response with the error.

    Raises `Unavailable`, whose status and `Retry-After` tell clients to try again.
    """
    try:
        return await get_state(request).persisted.resolve(graphql_request, parse_client(request.headers))
    except Unavailable:
        raise
    except APIError as error:
        return build_response(None, [error], graphql_request.operation_name, ctx.request_id)


def error_response(request: Request, result: GraphQLResponse, media_type: str | None, stream: str | None) -> Response:
    """Return the response to a request of which nothing was executed."""
    record(get_request_state(request.scope), result)
    media_type = media_type or (EVENT_STREAM if stream == EVENT_STREAM else JSON)
    return to_response(result, media_type, request.scope)


def is_browser(request: Request, accept: str) -> bool:
    """Return whether a browser opens the page, without a query."""
    if request.method != "GET" or any(name in request.scope["query_string"] for name in (b"query=", b"documentId=")):
        return False
    return prefers_html(accept)


async def parse_body(request: Request, max_batch: int) -> GraphQLRequest | list[GraphQLRequest]:
    """Return the request, or the requests of a batch."""
    if request.scope["method"] == "GET":
        return parse_request(parse_query_string(request.scope["query_string"]), only_queries=True)
    if not is_json(get_request_state(request.scope).header(b"content-type")):
        raise UnsupportedMediaType("The body of a GraphQL request must be application/json")
    parameters = parse_json(await request.body(), "body")
    if isinstance(parameters, list):
        return [parse_request(entry) for entry in parse_batch(parameters, max_batch)]
    return parse_request(parameters)


def parse_cost_header(value: str) -> CostReport:
    try:
        return CostReport(value.strip().lower())
    except ValueError as error:
        raise ValidationError.for_fields(**{"GraphQL-Cost": "must be report or validate"}) from error


def record(state: RequestState, result: GraphQLResponse) -> None:
    state.operation, state.operation_type, state.codes = result.operation, result.kind, tuple(result.errors)


def to_response(result: GraphQLResponse, media_type: str, scope: Scope) -> Response:
    """Return the HTTP response of a result. A request that was not executed has the status of its error.

    Two exceptions: clients of SSE would reconnect on any status but 200, and clients that only accept
    `application/json` expect 200 for an invalid document.
    """
    error = None if result.has_data else ERRORS_BY_CODE[result.errors[0]]
    if error is MethodNotAllowed:
        json_type = JSON if media_type == EVENT_STREAM else media_type
        return RawResponse(error.status, HEADERS + b"allow: POST\r\n", result.body, json_type.encode())
    if media_type == EVENT_STREAM:
        sse_type = STREAM_FORMATS[EVENT_STREAM].media_type
        return RawResponse(200, HEADERS, single_response(result.body), sse_type.encode())
    is_ok = error is None or (error is ValidationError and expects_legacy_json(accept_header(scope)))
    return RawResponse(200 if is_ok else error.status, HEADERS, result.body, media_type.encode())

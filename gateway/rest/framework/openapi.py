"""The OpenAPI document: complete, so that a generated client knows every answer that it may get."""

from collections import defaultdict
from typing import Any

import orjson
from fastapi import FastAPI
from graphql import GraphQLSchema
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE, cookie_name
from gateway.graphql.request import TO_BE_ASKED_FOR
from gateway.rest.framework import responses as answers
from gateway.rest.framework.openapi_descriptions import example, word
from gateway.rest.framework.schemas import Error
from gateway.settings import Settings
from models.errors import (
    Conflict,
    Forbidden,
    IdempotencyMismatch,
    PayloadTooLarge,
    RateLimited,
    Refusal,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
    ValidationError,
)

Responses = dict[int | str, dict[str, Any]]

REPEATED = Conflict, IdempotencyMismatch
ANYWHERE = ValidationError, Unauthorized, RateLimited, Refusal, Unavailable
WITH_BODY = Forbidden, PayloadTooLarge, UnsupportedMediaType

BEARER, KEY, COOKIE = {"bearer": []}, {"key": []}, {"cookie": []}
SIGNED_IN = {"security": [BEARER, KEY, COOKIE]}
NAMED = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A name for this write: sent again within 24 hours, it is answered again and not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
WRITING = {**SIGNED_IN, "parameters": [NAMED]}
ANYONE = {"security": [{}, BEARER, KEY, COOKIE]}
REFRESHING = {"security": [{}, {"refreshCookie": []}]}


def schemes(settings: Settings) -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": cookie_name(SESSION_COOKIE, settings)},
        "refreshCookie": {"type": "apiKey", "in": "cookie", "name": cookie_name(REFRESH_COOKIE, settings)},
    }


def refusals(
    *kinds: type[Refusal], also: Responses | None = None, anywhere: tuple[type[Refusal], ...] = ANYWHERE
) -> Responses:
    """The refusals of an endpoint, beside those that any endpoint has."""
    by_status: dict[int, list[type[Refusal]]] = defaultdict(list)
    for kind in (*anywhere, *kinds):
        by_status[kind.status].append(kind)
    return {status: refusal(found) for status, found in sorted(by_status.items())} | (also or {})


def refusal(kinds: list[type[Refusal]]) -> dict[str, Any]:
    """The answer that one status stands for."""
    headers = {name: described for kind in kinds for name, described in SAID_BY.get(kind, {}).items()}
    return {
        "model": Error,
        "description": "; ".join(f"`{kind.code}` {kind.words}" for kind in kinds),
        "content": {"application/json": {"examples": {kind.code: example(kind) for kind in kinds}}},
        **({"headers": headers} if headers else {}),
    }


def parameters(*described: dict[str, Any]) -> dict[str, Any]:
    """What an endpoint reads by itself: FastAPI would read it one by one, for the price of the rest of the request."""
    return {"parameters": list(described)}


def query(shape: type[BaseModel]) -> dict[str, Any]:
    """The query parameters that an endpoint reads by itself."""
    schema = shape.model_json_schema()
    fields = {name: resolved(field, schema.get("$defs", {})) for name, field in schema["properties"].items()}
    return parameters(*({"name": name, "in": "query", "schema": field} for name, field in fields.items()))


def path_id(name: str) -> dict[str, Any]:
    schema = {"type": "string", "format": "uuid"}
    return {"name": name, "in": "path", "required": True, "description": "Its id.", "schema": schema}


IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "schema": {"type": "string"},
    "description": "An ETag, or several.",
}


def conditional(*extras: dict[str, Any]) -> dict[str, Any]:
    """What else is said of a GET that has an ETag."""
    parameters = [parameter for extra in extras for parameter in extra.get("parameters", ())]
    return {
        **{key: value for extra in extras for key, value in extra.items()},
        "parameters": [*parameters, IF_NONE_MATCH],
    }


def tagged(form: str) -> Responses:
    """Its answers."""
    headers = {"headers": {"ETag": header(form)}}
    return {200: headers, 304: {"description": "You have it already", **headers}}


def resolved(field: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    """A field's schema, with what it refers to in its place."""
    reference = field.pop("$ref", None)
    return {**named[reference.rpartition("/")[2]], **field} if reference else field


def header(description: str, type: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": type}}


RETRY_AFTER = {"Retry-After": header("Seconds to wait before trying again.", "integer")}
SAID_BY = {Unauthorized: {"WWW-Authenticate": header("`Bearer`")}, RateLimited: RETRY_AFTER, Unavailable: RETRY_AFTER}
"""The headers that refusals bring along."""
EVERYWHERE = {"X-Request-ID": header("The request's id, under which the server has noted what it did.")}
LIMITED = {
    "X-RateLimit-Limit": header("How many requests are allowed in a window of time.", "integer"),
    "X-RateLimit-Remaining": header("How many of them are left.", "integer"),
    "X-RateLimit-Reset": header("When all of them are again, in seconds since 1970.", "integer"),
    "RateLimit": header("The same and the points that are left, in the form of the IETF's draft."),
    "RateLimit-Policy": header("What `RateLimit` is reckoned by."),
}
"""On each answer of an endpoint that has a limit."""
REPLAYED = {"Idempotency-Replayed": header("`true` on an answer that was given before.")}


async def described(request: Request) -> Response:
    """The document itself."""
    return answers.read(request.scope, answers.Body(orjson.dumps(request.app.openapi()), TO_BE_ASKED_FOR))


def install(app: FastAPI, settings: Settings, schema: GraphQLSchema) -> None:
    """Add what FastAPI cannot know, GraphQL's words among it, and take out the 422 that it adds: ours are 400."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        for path in document["paths"].values():
            for operation in path.values():
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
                add_headers(operation)
        headers = EVERYWHERE | LIMITED | REPLAYED
        document["components"] |= {"securitySchemes": schemes(settings), "headers": headers}
        word(document, schema)
        return document

    app.openapi = openapi


def add_headers(operation: dict[str, Any]) -> None:
    """Those that all answers of an operation may have."""
    responses, is_limited = operation["responses"], str(RateLimited.status) in operation["responses"]
    may_repeat = NAMED in operation.get("parameters", ())
    names = [*EVERYWHERE, *(LIMITED if is_limited else ()), *(REPLAYED if may_repeat else ())]
    common = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    for response in responses.values():
        response["headers"] = {**response.get("headers", {}), **common}

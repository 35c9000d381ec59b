"""The OpenAPI document: the declarations that endpoints share, and what FastAPI's generator cannot know."""

from collections import defaultdict
from typing import Any

import orjson
from fastapi import FastAPI
from graphql import GraphQLNamedType, GraphQLSchema
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from gateway.auth.cookies import REFRESH_COOKIE, SESSION_COOKIE, cookie_name
from gateway.http.conditional import NO_CACHE
from gateway.http.errors import rest_body
from gateway.rest.framework.responses import JsonBody, get_response
from gateway.rest.framework.schemas import Error
from gateway.settings import Settings
from models.errors import APIError, RateLimited, Unauthorized, Unavailable

Responses = dict[int | str, dict[str, Any]]

TAGS = [
    {"name": "Posts", "description": "Blog posts. Published posts are public; other posts only their author can see."},
    {"name": "Accounts", "description": "Registration, login and logout, with tokens or with cookies."},
    {"name": "Live", "description": "Changes to posts as server-sent events."},
    {"name": "Chat", "description": "Chat with a language model."},
    {"name": "Webhooks", "description": "Endpoints for webhooks of other services."},
    {"name": "Uploads", "description": "Upload and download of files."},
    {"name": "Health", "description": "Health checks and metrics for operators."},
]

BEARER, API_KEY, COOKIE = {"bearer": []}, {"key": []}, {"cookie": []}
LOGIN_REQUIRED = {"security": [BEARER, API_KEY, COOKIE]}
LOGIN_OPTIONAL = {"security": [{}, BEARER, API_KEY, COOKIE]}
REFRESH_COOKIE_OPTIONAL = {"security": [{}, {"refreshCookie": []}]}

EXAMPLE_REQUEST_ID = "8f14e45fceea167a5a36dedd4bea2543"
EXAMPLE_RETRY_AFTER_SECONDS = 12


def header(description: str, type: str = "string") -> dict[str, Any]:
    return {"description": description, "schema": {"type": type}}


RETRY_AFTER = {"Retry-After": header("Seconds to wait before the next attempt.", "integer")}
ERROR_HEADERS = {
    Unauthorized: {"WWW-Authenticate": header("`Bearer`")},
    RateLimited: RETRY_AFTER,
    Unavailable: RETRY_AFTER,
}
REQUEST_ID_HEADER = {"X-Request-ID": header("Id of this request, as in the server's log.")}
RATE_LIMIT_HEADERS = {
    "X-RateLimit-Limit": header("Number of requests allowed in the window.", "integer"),
    "X-RateLimit-Remaining": header("Number of requests left in the window.", "integer"),
    "X-RateLimit-Reset": header("Unix time at which the window is empty again, in seconds.", "integer"),
    "RateLimit": header("Remaining requests and cost points, as in the IETF draft."),
    "RateLimit-Policy": header("The limits that `RateLimit` refers to."),
}
REPLAYED_HEADER = {"Idempotency-Replayed": header("`true` if this is the stored response to an earlier request.")}

IDEMPOTENCY_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Unique key of this write. A request that repeats the key within 24 hours gets the first response "
    "again and changes nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
IF_NONE_MATCH_PARAMETER = {
    "name": "If-None-Match",
    "in": "header",
    "description": "One or more ETags. The response is 304 if one of them is current.",
    "schema": {"type": "string"},
}


def query_parameters(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Describe a model's fields as query parameters, for an endpoint that parses its query string itself."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return [{"name": name, "in": "query", "schema": field} for name, field in schema["properties"].items()]


def error_responses(*errors: type[APIError]) -> Responses:
    """Describe the responses to errors: one for each status, with an example for each error code."""
    by_status: dict[int, list[type[APIError]]] = defaultdict(list)
    for error in sorted(set(errors), key=lambda error: (error.status, error.code)):
        by_status[error.status].append(error)
    return {
        status: {
            "model": Error,
            "description": "; ".join(f"`{error.code}` {error.default_message}" for error in same_status),
            "content": {"application/json": {"examples": {error.code: error_example(error) for error in same_status}}},
            "headers": {name: it for error in same_status for name, it in ERROR_HEADERS.get(error, {}).items()},
        }
        for status, same_status in by_status.items()
    }


def error_example(error: type[APIError]) -> dict[str, Any]:
    example = RateLimited(EXAMPLE_RETRY_AFTER_SECONDS) if error is RateLimited else error()
    return {"value": rest_body(example, EXAMPLE_REQUEST_ID)}


def etag_responses(format: str) -> Responses:
    """Describe the responses to a GET that sends an ETag of this format."""
    headers = {"headers": {"ETag": header(format)}}
    return {200: headers, 304: {"description": "Not modified: the client has the current version.", **headers}}


async def openapi_endpoint(request: Request) -> Response:
    """Serve the OpenAPI document."""
    return get_response(request.scope, JsonBody(orjson.dumps(request.app.openapi()), NO_CACHE))


def customize_openapi(app: FastAPI, settings: Settings, schema: GraphQLSchema) -> None:
    """Complete the generated document with what FastAPI has no parameter for.

    Adds security schemes, shared headers and the descriptions of the GraphQL schema. Removes the 422 responses that
    FastAPI adds by itself: invalid input is answered with 400.
    """
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            components = document["components"]
            components["securitySchemes"] = security_schemes(settings)
            components["headers"] = REQUEST_ID_HEADER | RATE_LIMIT_HEADERS | REPLAYED_HEADER
            add_graphql_descriptions(components["schemas"], schema)
            remove_validation_errors(document)
        return app.openapi_schema

    app.openapi = openapi


def security_schemes(settings: Settings) -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": cookie_name(SESSION_COOKIE, settings)},
        "refreshCookie": {"type": "apiKey", "in": "cookie", "name": cookie_name(REFRESH_COOKIE, settings)},
    }


def remove_validation_errors(document: dict[str, Any]) -> None:
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    for path in document["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]


GRAPHQL_TYPES = {
    "Author": "User",
    "CreatePost": "CreatePostInput",
    "LabelRef": "Category",
    "Login": "LoginInput",
    "Pagination": "PostPage",
    "PostItem": "Post",
    "Register": "RegisterInput",
    "Session": "AuthPayload",
    "UpdatePost": "UpdatePostInput",
}
"""The GraphQL type of each schema that has another name there."""


def add_graphql_descriptions(schemas: dict[str, Any], graphql_schema: GraphQLSchema) -> None:
    """Describe schemas and fields that have no description of their own as GraphQL describes them."""
    for name, schema in schemas.items():
        graphql_type: GraphQLNamedType | None = graphql_schema.get_type(GRAPHQL_TYPES.get(name, name))
        if graphql_type is not None:
            schema.setdefault("description", graphql_type.description)
            graphql_fields = getattr(graphql_type, "fields", {})
            for field_name, field in schema.get("properties", {}).items():
                if field_name in graphql_fields:
                    field.setdefault("description", graphql_fields[field_name].description)

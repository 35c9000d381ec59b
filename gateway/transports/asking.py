"""What a client asks, out of a body, a query string or a message."""

from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from gateway.graphql.requests import GraphQLRequest
from models.errors import ValidationError


def parsed(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValidationError.of(**{name: "must be valid JSON"}) from error


def from_query_string(text: bytes) -> dict[str, Any]:
    """The parameters of a GET, where variables and extensions are JSON, and what is empty is absent."""
    parameters: dict[str, Any] = {}
    for pair in text.split(b"&"):
        name, _, value = pair.partition(b"=")
        parameters[unquoted(name)] = unquoted(value) or None
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = parsed(parameters[name].encode(), name)
    return parameters


def unquoted(text: bytes) -> str:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise ValidationError("The query string must be UTF-8") from error


def request_of(parameters: Any, *, only_queries: bool = False) -> GraphQLRequest:
    """A request whose parameters have the right types; those that nobody knows are ignored."""
    if not isinstance(parameters, dict):
        raise ValidationError.of(body="must be a JSON object with a query")
    query, name = parameters.get("query"), parameters.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise ValidationError.of(query="must be a GraphQL document")
    if not isinstance(name, str | None):
        raise ValidationError.of(operationName="must be text or null")
    for field in ("variables", "extensions"):
        if not isinstance(parameters.get(field), dict | None):
            raise ValidationError.of(**{field: "must be an object or null"})
    return GraphQLRequest(query, parameters.get("variables"), name or None, only_queries)

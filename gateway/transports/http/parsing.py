"""What a client asks, out of a body, a query string or a message."""

from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from gateway.graphql.request import GraphQLRequest, Reference
from models.errors import ValidationError

TEXT, OBJECT = (str, type(None)), (dict, type(None))

IDS = "documentId", "doc_id", "id"
"""What persisted documents are asked for by: the specification's name for it, and those of Relay's clients."""


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
    if not isinstance(query, TEXT):
        raise ValidationError.of(query="must be text or null")
    if query is not None and not query.strip():
        query = None
    if not isinstance(name, TEXT):
        raise ValidationError.of(operationName="must be text or null")
    for field in ("variables", "extensions"):
        if not isinstance(parameters.get(field), OBJECT):
            raise ValidationError.of(**{field: "must be an object or null"})
    reference = None if query and not parameters.get("extensions") else reference_of(parameters, query)
    if query is None and reference is None:
        raise ValidationError.of(query="must be a GraphQL document, or documentId the id of one")
    return GraphQLRequest(query or "", parameters.get("variables"), name or None, only_queries, reference)


def reference_of(parameters: dict[str, Any], query: str | None) -> Reference | None:
    """How a request names its document: by Apollo's hash, or by an id, unless it sends the text."""
    if (automatic := (parameters.get("extensions") or {}).get("persistedQuery")) is not None:
        return automatic_of(automatic)
    id = next((parameters[name] for name in IDS if parameters.get(name) is not None), None)
    if id is None or query:
        return None
    if not isinstance(id, str):
        raise ValidationError.of(documentId="must be text")
    return Reference(id)


def automatic_of(given: Any) -> Reference:
    if not isinstance(given, dict) or not isinstance(given.get("sha256Hash"), str):
        raise ValidationError.of(extensions="must have a persistedQuery with a version and a sha256Hash")
    if given.get("version") != 1:
        raise ValidationError("Unsupported persisted query version")
    return Reference(given["sha256Hash"], is_automatic=True)

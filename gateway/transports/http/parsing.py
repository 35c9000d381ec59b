"""What a client asks, out of a body, a query string or a message."""

from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from gateway.graphql.request import DocumentReference, GraphQLRequest
from models.errors import ValidationError

OPTIONAL_STR, OPTIONAL_DICT = (str, type(None)), (dict, type(None))

IDS = "documentId", "doc_id", "id"
"""What persisted documents are asked for by: the specification's name for it, and those of Relay's clients."""


def parse_json(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValidationError.for_fields(**{name: "must be valid JSON"}) from error


def parse_query_string(text: bytes) -> dict[str, Any]:
    """The parameters of a GET, where variables and extensions are JSON, and what is empty is absent."""
    parameters: dict[str, Any] = {}
    for pair in text.split(b"&"):
        name, _, value = pair.partition(b"=")
        parameters[unquote(name)] = unquote(value) or None
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = parse_json(parameters[name].encode(), name)
    return parameters


def unquote(text: bytes) -> str:
    try:
        return unquote_to_bytes(text.replace(b"+", b" ")).decode()
    except UnicodeDecodeError as error:
        raise ValidationError("The query string must be UTF-8") from error


def parse_request(parameters: Any, *, only_queries: bool = False) -> GraphQLRequest:
    """A request whose parameters have the right types; those that nobody knows are ignored."""
    if not isinstance(parameters, dict):
        raise ValidationError.for_fields(body="must be a JSON object with a query")
    query, name = parameters.get("query"), parameters.get("operationName")
    if not isinstance(query, OPTIONAL_STR):
        raise ValidationError.for_fields(query="must be text or null")
    if query is not None and not query.strip():
        query = None
    if not isinstance(name, OPTIONAL_STR):
        raise ValidationError.for_fields(operationName="must be text or null")
    for field in ("variables", "extensions"):
        if not isinstance(parameters.get(field), OPTIONAL_DICT):
            raise ValidationError.for_fields(**{field: "must be an object or null"})
    reference = None if query and not parameters.get("extensions") else parse_reference(parameters, query)
    if query is None and reference is None:
        raise ValidationError.for_fields(query="must be a GraphQL document, or documentId the id of one")
    return GraphQLRequest(query or "", parameters.get("variables"), name or None, only_queries, reference)


def parse_reference(parameters: dict[str, Any], query: str | None) -> DocumentReference | None:
    """How a request names its document: by Apollo's hash, or by an id, unless it sends the text."""
    if (automatic := (parameters.get("extensions") or {}).get("persistedQuery")) is not None:
        return parse_apq(automatic)
    id = next((parameters[name] for name in IDS if parameters.get(name) is not None), None)
    if id is None or query:
        return None
    if not isinstance(id, str):
        raise ValidationError.for_fields(documentId="must be text")
    return DocumentReference(id)


def parse_apq(given: Any) -> DocumentReference:
    if not isinstance(given, dict) or not isinstance(given.get("sha256Hash"), str):
        raise ValidationError.for_fields(extensions="must have a persistedQuery with a version and a sha256Hash")
    if given.get("version") != 1:
        raise ValidationError("Unsupported persisted query version")
    return DocumentReference(given["sha256Hash"], is_automatic=True)

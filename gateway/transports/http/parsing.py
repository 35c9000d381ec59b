"""Parsing of GraphQL requests from JSON bodies, query strings and WebSocket messages."""

from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from gateway.graphql.request import DocumentReference, GraphQLRequest
from models.errors import ValidationError

OPTIONAL_STR, OPTIONAL_DICT = (str, type(None)), (dict, type(None))

DOCUMENT_ID_PARAMETERS = "documentId", "doc_id", "id"
"""The parameter of the persisted documents specification, and those of Relay's clients."""


def parse_json(text: bytes, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ValidationError.for_fields(**{name: "must be valid JSON"}) from error


def parse_query_string(text: bytes) -> dict[str, Any]:
    """Return the parameters of a GET. `variables` and `extensions` are JSON; an empty parameter is None."""
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
    """Return a request after checking the types of its parameters. Unknown ones are ignored."""
    if not isinstance(parameters, dict):
        raise ValidationError.for_fields(body="must be a JSON object with a query")
    query, name = parameters.get("query"), parameters.get("operationName")
    if not isinstance(query, OPTIONAL_STR):
        raise ValidationError.for_fields(query="must be a string or null")
    if query is not None and not query.strip():
        query = None
    if not isinstance(name, OPTIONAL_STR):
        raise ValidationError.for_fields(operationName="must be a string or null")
    for field in ("variables", "extensions"):
        if not isinstance(parameters.get(field), OPTIONAL_DICT):
            raise ValidationError.for_fields(**{field: "must be an object or null"})
    reference = None if query and not parameters.get("extensions") else parse_reference(parameters, query)
    if query is None and reference is None:
        raise ValidationError.for_fields(query="must be a GraphQL document, unless documentId is the id of one")
    return GraphQLRequest(query or "", parameters.get("variables"), name or None, only_queries, reference)


def parse_reference(parameters: dict[str, Any], query: str | None) -> DocumentReference | None:
    """Return the hash (Apollo's) or the id by which a request refers to its document; None if it sends the text."""
    if (persisted := (parameters.get("extensions") or {}).get("persistedQuery")) is not None:
        return parse_apq(persisted)
    id = next((parameters[name] for name in DOCUMENT_ID_PARAMETERS if parameters.get(name) is not None), None)
    if id is None or query:
        return None
    if not isinstance(id, str):
        raise ValidationError.for_fields(documentId="must be a string")
    return DocumentReference(id)


def parse_apq(value: Any) -> DocumentReference:
    if not isinstance(value, dict) or not isinstance(value.get("sha256Hash"), str):
        raise ValidationError.for_fields(extensions="must have a persistedQuery with a version and a sha256Hash")
    if value.get("version") != 1:
        raise ValidationError("Unsupported persisted query version")
    return DocumentReference(value["sha256Hash"], is_automatic=True)

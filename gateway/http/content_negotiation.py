"""Media types: negotiation of the response's by `Accept`, recognition of a JSON body."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

GRAPHQL_PATH = "/graphql"
JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"
SUBSCRIPTION_SPECS = ("1.0", "1")
"""The supported versions of Apollo's multipart subscriptions."""

MEDIA_TYPES = {
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
}
"""The media type for each supported range. If several have the same weight, the first one here wins."""


def accept_header(scope: Any) -> str:
    """Return the values of all `Accept` headers of a request."""
    return b",".join([value for name, value in scope["headers"] if name == b"accept"]).decode("latin-1")


@lru_cache(256)
def negotiate(accept: str) -> str | None:
    """Return the media type that a client prefers, JSON without an `Accept` header, None if it accepts no GraphQL."""
    if not accept.strip():
        return JSON
    weights = {name: weight for name, weight in parse_accept(accept) if name in MEDIA_TYPES}
    # `*/*` does not accept JSON that the client excludes by name.
    accepted = [name for name in MEDIA_TYPES if min(weights.get(name, 0.0), weights.get(MEDIA_TYPES[name], 1.0)) > 0]
    chosen = max(accepted, key=lambda name: weights[name], default=None)
    return chosen and MEDIA_TYPES[chosen]


def expects_legacy_json(accept: str) -> bool:
    """Return whether a client accepts `application/json` by name and nothing newer.

    Such clients parse the body of a 200 only (GraphQL over HTTP, section 6.4.1).
    """
    weights = dict(parse_accept(accept))
    return weights.get(JSON, 0.0) > 0 and not weights.keys() & {GRAPHQL_RESPONSE, EVENT_STREAM, MULTIPART}


@lru_cache(256)
def negotiate_stream(accept: str) -> str | None:
    """Return the media type of streams that a client prefers; None if it names none."""
    weights: dict[str, float] = {}
    for part, (name, weight) in zip(accept.split(","), parse_accept(accept), strict=True):
        if weight > 0 and (name == EVENT_STREAM or (name == MULTIPART and is_apollo_multipart(part))):
            weights.setdefault(name, weight)
    return max(weights, key=lambda name: weights[name], default=None)


def is_apollo_multipart(media_range: str) -> bool:
    """Return whether a range `multipart/mixed` has Apollo's parameter `subscriptionSpec`."""
    pairs = (parameter.strip().partition("=") for parameter in media_range.split(";"))
    return any(
        key.strip().lower() == "subscriptionspec" and value.strip(' "') in SUBSCRIPTION_SPECS for key, _, value in pairs
    )


def prefers_html(accept: str) -> bool:
    """Return whether a browser navigates to the URL: it prefers HTML to JSON."""
    weights = dict(parse_accept(accept))
    return weights.get(HTML, 0.0) > max(weights.get(JSON, 0.0), weights.get(GRAPHQL_RESPONSE, 0.0))


def parse_accept(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each media range with its weight from 0 to 1; an invalid weight is 0."""
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [value for key, _, value in (p.partition("=") for p in parameters) if key.strip() == "q"]
        try:
            yield name, min(max(float(weights[0] if weights else 1), 0.0), 1.0)
        except ValueError:
            yield name, 0.0


@lru_cache(256)
def is_json(content_type: str | None) -> bool:
    """Return whether a body is declared as JSON in UTF-8. Browsers do not send that type to another site unasked."""
    name, *parameters = (piece.strip().lower() for piece in (content_type or "").split(";"))
    values = dict(parameter.partition("=")[::2] for parameter in parameters)
    return name == JSON and values.get("charset", "utf-8").strip('"') in ("utf-8", "utf8")

"""Media types: which one a GraphQL answer has, and whether a body is JSON."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

GRAPHQL_PATH = "/graphql"
JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"
EVENT_STREAM = "text/event-stream"
MULTIPART = "multipart/mixed"
SPECIFICATION = ("1.0", "1")
"""The versions of Apollo's multipart subscriptions that are spoken here."""

ACCEPTED_AS = {
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
}
"""What each media range gets. Of those that a client likes equally, an earlier one here wins."""


def accept_header(scope: Any) -> str:
    """What all `Accept` headers of a request say."""
    return b",".join([value for name, value in scope["headers"] if name == b"accept"]).decode("latin-1")


def negotiate(scope: Any) -> str | None:
    """The media type that the client likes best; None where it accepts neither of ours."""
    return negotiate_media_type(accept_header(scope))


@lru_cache(256)
def negotiate_media_type(accept: str) -> str | None:
    """For an `Accept` header; without one, JSON, as clients have always been given."""
    if not accept.strip():
        return JSON
    quality = {name: weight for name, weight in parse_accept(accept) if name in ACCEPTED_AS}
    liked = [name for name in ACCEPTED_AS if q_of(quality, name) > 0 and name in quality]
    chosen = max(liked, key=lambda name: quality[name], default=None)
    return chosen and ACCEPTED_AS[chosen]


def expects_legacy_json(scope: Any) -> bool:
    """Whether a client asks for plain JSON by name and nothing newer. Such clients read JSON of a 200 alone."""
    quality = dict(parse_accept(accept_header(scope)))
    return quality.get(JSON, 0.0) > 0 and not quality.keys() & {GRAPHQL_RESPONSE, EVENT_STREAM, MULTIPART}


@lru_cache(256)
def negotiate_stream(accept: str) -> str | None:
    """The kind of stream that the client likes best; None where it asks for none by name."""
    liked: dict[str, float] = {}
    for part, (name, weight) in zip(accept.split(","), parse_accept(accept), strict=True):
        if weight > 0 and (name == EVENT_STREAM or (name == MULTIPART and is_apollo_multipart(part))):
            liked.setdefault(name, weight)
    return max(liked, key=lambda name: liked[name], default=None)


def is_apollo_multipart(part: str) -> bool:
    """Whether a range of `multipart/mixed` is for Apollo's subscriptions."""
    pairs = (piece.strip().partition("=") for piece in part.split(";"))
    return any(
        key.strip().lower() == "subscriptionspec" and value.strip(' "') in SPECIFICATION for key, _, value in pairs
    )


def q_of(quality: dict[str, float], name: str) -> float:
    """How much a range is liked; `*/*` does not bring back JSON that was refused by name."""
    return min(quality.get(name, 0.0), quality.get(ACCEPTED_AS[name], 1.0))


def prefers_html(accept: str) -> bool:
    """Whether it is a browser that asks, whose address bar asks for HTML before anything of ours."""
    quality = dict(parse_accept(accept))
    return quality.get(HTML, 0.0) > max(quality.get(JSON, 0.0), quality.get(GRAPHQL_RESPONSE, 0.0))


def parse_accept(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range, with its weight from 0 to 1."""
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weights = [value for key, _, value in (p.partition("=") for p in parameters) if key.strip() == "q"]
        yield name, parse_q(weights[0] if weights else "1")


def parse_q(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


@lru_cache(256)
def is_json(content_type: str | None) -> bool:
    """Whether a body says that it is JSON. Browsers never send that type to another site without asking it first."""
    name, *parameters = (piece.strip().lower() for piece in (content_type or "").split(";"))
    settings = dict(parameter.partition("=")[::2] for parameter in parameters)
    return name == JSON and settings.get("charset", "utf-8").strip('"') in ("utf-8", "utf8")

"""The event feed: changes to posts as server-sent events."""

from functools import lru_cache
from typing import Annotated

from fastapi import Header, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.events.entry import parse_event_id
from gateway.events.feed import EventStreamResponse
from gateway.events.subscriber import Types
from gateway.rest.framework.openapi import LOGIN_OPTIONAL, header
from gateway.rest.framework.routing import cost, create_router
from gateway.state import get_state
from models.errors import ValidationError
from resolvers.events import EventType

router = create_router("/api/events", "Live")

STREAM_COST = 2
EVENT_TYPES = sorted(type.value for type in EventType)
RESPONSES = {
    200: {
        "description": "Server-sent events without a name. The first one has the current position; comments keep an "
        "idle connection alive.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "headers": {"Cache-Control": header("`no-store`")},
    }
}


class EventQuery(BaseModel):
    types: str = Field("", description="Event types, or prefixes of them such as `post`, separated by commas.")
    since: str = Field("", description="Id of an event: start after it. `Last-Event-ID` takes precedence.")


LastEventId = Annotated[str | None, Header(description="Id of the last event received, as browsers resend it.")]


@router.get("", summary="Stream Events", response_class=Response, responses=RESPONSES, openapi_extra=LOGIN_OPTIONAL)
@limits.api
@cost(STREAM_COST)
async def follow(
    request: Request, query: Annotated[EventQuery, Query()], last_event_id: LastEventId = None
) -> Response:
    """Stream the events of all posts that the viewer may see, from now on or from a given event on."""
    app_state = get_state(request)
    types = parse_types(",".join(request.query_params.getlist("types")))
    # A browser that reconnects sends the last id it received, while its URL still has the first `since`.
    after = parse_event_id("Last-Event-ID", last_event_id) if last_event_id else parse_event_id("since", query.since)
    return EventStreamResponse(get_context(request), app_state.broadcaster, app_state.session_monitor, types, after)


@lru_cache(256)
def parse_types(text: str) -> Types:
    """Return the event types that a list of names and prefixes selects; None if it selects all."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    matches = {part: match_types(part) for part in parts}
    unknown = [part for part, types in matches.items() if not types]
    if unknown:
        raise ValidationError.for_fields(
            types=f"{unknown[0]!r} is not an event type or a prefix of one: {', '.join(EVENT_TYPES)}"
        )
    return frozenset().union(*matches.values()) or None


def match_types(part: str) -> set[str]:
    return {name for name in EVENT_TYPES if name == part or name.startswith(f"{part}.")}

"""The feed: what happens, as it happens."""

from functools import lru_cache
from typing import Annotated

from fastapi import Header
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.events.entry import event_id
from gateway.events.feed import Feed
from gateway.events.subscriber import Types
from gateway.rest.framework.openapi import ANYONE, header, query, refusals
from gateway.rest.framework.routing import router_of
from gateway.wiring import get_state
from models.errors import ValidationError
from resolvers.events import Fact
from resolvers.inputs import validated

router = router_of("/api/events", "Live")

NAMES = sorted(fact.value for fact in Fact)


class EventQuery(BaseModel):
    """What a follower asks for. Either may be left empty."""

    types: str = Field("", description="Names of types, or what comes before their dot, with commas between: `post`.")
    since: str = Field("", description="The id of an event: begin after it. `Last-Event-ID` comes first.")


LastEventId = Annotated[str | None, Header(description="The id of the last event heard, as browsers send it again.")]
STREAM = {
    200: {
        "description": "Events, unnamed; the first says where the stream starts, and a comment breaks each silence.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "headers": {"Cache-Control": header("`no-store`")},
    }
}


@router.get(
    "",
    status_code=200,
    response_class=Response,
    responses=refusals(also=STREAM),
    openapi_extra={**ANYONE, **query(EventQuery)},
)
@limits.api
async def follow(request: Request, last_event_id: LastEventId = None) -> Response:
    """Follow what happens to the posts that the viewer may see, from now on or from an event on."""
    asked, gateway = validated(EventQuery, request.query_params), get_state(request)
    types = types_of(",".join(request.query_params.getlist("types")))
    # A browser that connects again sends the id it heard last, while the address still has the one it began with.
    after = event_id("Last-Event-ID", last_event_id) if last_event_id else event_id("since", asked.since)
    return Feed(get_context(request), gateway.hub, gateway.session_monitor, types, after)


@lru_cache(256)
def types_of(text: str) -> Types:
    """The types that a list of names and prefixes means; None where it means all."""
    asked = [part.strip() for part in text.split(",") if part.strip()]
    meant = {part: named(part) for part in asked}
    unknown = [part for part, names in meant.items() if not names]
    if unknown:
        raise ValidationError.of(types=f"{unknown[0]!r} is none of {', '.join(NAMES)}, nor what one begins with")
    return frozenset().union(*meant.values()) or None


def named(part: str) -> set[str]:
    return {name for name in NAMES if name == part or name.startswith(f"{part}.")}

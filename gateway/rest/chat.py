"""Questions to a language model."""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.rest.framework.chat_stream import ChatStream
from gateway.rest.framework.openapi import SIGNED_IN, WITH_BODY, header, refusals
from gateway.rest.framework.routing import costs, router_of
from gateway.wiring import get_state
from models.errors import NotConfigured, UpstreamError
from resolvers import chat
from resolvers.chat import Conversation

router = router_of("/api/chat", "Chat")

STREAM = {
    200: {
        "description": 'Frames of `{"content"}`, then `[DONE]`; comments while the model thinks. What goes wrong after '
        'the first byte is an `error` event with `{"error", "code"}`, and no `[DONE]`.',
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "headers": {"Cache-Control": header("`no-store`")},
    }
}


@router.post(
    "",
    status_code=200,
    response_class=Response,
    responses=refusals(*WITH_BODY, UpstreamError, NotConfigured, also=STREAM),
    openapi_extra=SIGNED_IN,
)
@limits.expensive
@costs(100)
async def answer(request: Request, input: Conversation) -> Response:
    """What a language model says next in a conversation, as it says it."""
    gateway, ctx = get_state(request), get_context(request)
    guard = partial(gateway.session_monitor.watch, ctx.session_id, ctx.viewer, ctx.expires_at)
    return ChatStream(chat.answer(ctx, gateway.model, input), gateway.streams, guard)

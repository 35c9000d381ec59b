"""Chat with a language model."""

from functools import partial
from typing import Annotated

from fastapi import Body
from starlette.requests import Request
from starlette.responses import Response

from gateway import limits
from gateway.auth.request import get_context
from gateway.rest.framework.chat_stream import ChatStream
from gateway.rest.framework.openapi import LOGIN_REQUIRED, header
from gateway.rest.framework.routing import cost, create_router, raises
from gateway.state import get_state
from models.errors import NotConfigured, UpstreamError
from resolvers import chat
from resolvers.chat import Conversation

router = create_router("/api/chat", "Chat")

STREAM = {
    200: {
        "description": 'Server-sent events with `{"content"}`, then `[DONE]`. Comments keep the connection alive while '
        'the model is silent. An error after the first byte is an `error` event with `{"error", "code"}`, without '
        "`[DONE]`.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "headers": {"Cache-Control": header("`no-store`")},
    }
}
EXAMPLE = {"messages": [{"role": "user", "content": "What is a strop?"}]}


@router.post("", summary="Chat", response_class=Response, responses=STREAM, openapi_extra=LOGIN_REQUIRED)
@limits.expensive
@cost(100)
@raises(UpstreamError, NotConfigured)
async def answer(request: Request, input: Annotated[Conversation, Body(examples=[EXAMPLE])]) -> Response:
    """Stream a language model's answer to a conversation."""
    app_state, ctx = get_state(request), get_context(request)
    watch_session = partial(app_state.session_monitor.watch, ctx.session_id, ctx.viewer, ctx.expires_at)
    return ChatStream(chat.stream_answer(ctx, app_state.model, input), app_state.streams, watch_session)

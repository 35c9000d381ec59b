"""`WS /graphql`: GraphQL over WebSocket, with the subprotocol `graphql-transport-ws`.

One extension: a second `connection_init` with a valid token of the same viewer renews the connection's token and is
acknowledged. Any other closes the connection with 4429, as the protocol says.
"""

from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.auth.request import identify_client
from gateway.http.errors import error_response
from gateway.http.request_state import RequestState, create_request_state
from gateway.http.responses import decode_headers
from gateway.limits import API
from gateway.limits.headers import build_headers
from gateway.state import get_state
from gateway.transports.websocket.connection import SHUTDOWN_REASON, GraphQLWebSocket
from gateway.transports.websocket.messages import NO_SUCH_PROTOCOL, PROTOCOL
from models.errors import APIError, Unavailable


class GraphQLWebSocketEndpoint:
    """The endpoint, as plain ASGI."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = create_request_state(scope)
        websocket = WebSocket(scope, receive, send)
        with suppress(WebSocketDisconnect):
            try:
                await check_handshake(websocket, state)
            except APIError as error:
                await reject(websocket, state, error_response(scope, error))
            else:
                await accept(websocket, state)


async def accept(websocket: WebSocket, state: RequestState) -> None:
    """Accept the connection and run the protocol. Without its subprotocol, close the connection."""
    if PROTOCOL in websocket.scope["subprotocols"]:
        await websocket.accept(PROTOCOL)
        with get_state(websocket).recorder.streams("websocket").time():
            await GraphQLWebSocket(websocket, state).run()
    else:
        await websocket.accept()
        await websocket.close(NO_SUCH_PROTOCOL, "Subprotocol not acceptable")


async def check_handshake(websocket: WebSocket, state: RequestState) -> None:
    """Count a handshake in the rate limit of its address: the viewer is not known yet."""
    app_state = get_state(websocket)
    if app_state.streams.is_draining:
        raise Unavailable(SHUTDOWN_REASON)
    identify_client(websocket)
    await app_state.limits.check(API, state.caller, state)


async def reject(websocket: WebSocket, state: RequestState, response: Response) -> None:
    response.raw_headers.extend(
        (
            *state.response_headers,
            *decode_headers(build_headers(state.limit_statuses)),
            (b"x-request-id", state.request_id.encode()),
        )
    )
    await websocket.send_denial_response(response)

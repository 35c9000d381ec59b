"""`WS /graphql`: GraphQL over WebSocket, by the subprotocol `graphql-transport-ws` and no other.

It is spoken to the letter but for one thing: a second `connection_init` that carries a valid token of the same viewer
renews the socket's token in place, and is acknowledged again. Any other is one too many, and ends the socket with 4429.
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
from gateway.transports.websocket.connection import GOING, GraphQLWebSocket
from gateway.transports.websocket.messages import NO_SUCH_PROTOCOL, PROTOCOL
from models.errors import APIError, Unavailable


class GraphQLWebSocketEndpoint:
    """The endpoint, as plain ASGI."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = create_request_state(scope)
        websocket = WebSocket(scope, receive, send)
        with suppress(WebSocketDisconnect):
            try:
                await check_handshake(websocket, visit)
            except APIError as refusal:
                await reject(websocket, visit, error_response(scope, refusal))
            else:
                await accept(websocket, visit)


async def accept(websocket: WebSocket, visit: RequestState) -> None:
    """Speak the protocol; without it, say so in the one way that there is then."""
    if PROTOCOL in websocket.scope["subprotocols"]:
        await websocket.accept(PROTOCOL)
        with get_state(websocket).recorder.streams("websocket").time():
            await GraphQLWebSocket(websocket, visit).run()
    else:
        await websocket.accept()
        await websocket.close(NO_SUCH_PROTOCOL, "Subprotocol not acceptable")


async def check_handshake(websocket: WebSocket, visit: RequestState) -> None:
    """Before it is known who calls, a handshake counts by its address."""
    gateway = get_state(websocket)
    if gateway.streams.is_draining:
        raise Unavailable(GOING)
    identify_client(websocket)
    await gateway.limits.check(API, visit.caller, visit)


async def reject(websocket: WebSocket, visit: RequestState, response: Response) -> None:
    ours = (
        *visit.response_headers,
        *decode_headers(build_headers(visit.limit_statuses)),
        (b"x-request-id", visit.request_id.encode()),
    )
    response.raw_headers.extend(ours)
    await websocket.send_denial_response(response)

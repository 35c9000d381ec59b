"""`WS /graphql`: GraphQL over WebSocket, by the subprotocol `graphql-transport-ws` and no other.

It is spoken to the letter but for one thing: a second `connection_init` that carries a valid token of the same viewer
renews the socket's token in place, and is acknowledged again. Any other is one too many, and ends the socket with 4429.
"""

from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.auth.request import identify_client
from gateway.http.errors import refused
from gateway.http.request_state import Visit, begun
from gateway.http.responses import read
from gateway.limits import API
from gateway.limits.headers import build_headers
from gateway.transports.websocket.connection import GOING, Socket
from gateway.transports.websocket.messages import NO_SUCH_PROTOCOL, PROTOCOL
from gateway.wiring import get_state
from models.errors import Refusal, Unavailable


class GraphQLSockets:
    """The endpoint, as plain ASGI."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = begun(scope)
        websocket = WebSocket(scope, receive, send)
        with suppress(WebSocketDisconnect):
            try:
                await welcome(websocket, visit)
            except Refusal as refusal:
                await deny(websocket, visit, refused(scope, refusal))
            else:
                await begin(websocket, visit)


async def begin(websocket: WebSocket, visit: Visit) -> None:
    """Speak the protocol; without it, say so in the one way that there is then."""
    if PROTOCOL in websocket.scope["subprotocols"]:
        await websocket.accept(PROTOCOL)
        with get_state(websocket).recorder.streams("websocket").time():
            await Socket(websocket, visit).run()
    else:
        await websocket.accept()
        await websocket.close(NO_SUCH_PROTOCOL, "Subprotocol not acceptable")


async def welcome(websocket: WebSocket, visit: Visit) -> None:
    """Before it is known who calls, a handshake counts by its address."""
    gateway = get_state(websocket)
    if gateway.streams.is_draining:
        raise Unavailable(GOING)
    identify_client(websocket)
    await gateway.limits.check(API, visit.caller, visit)


async def deny(websocket: WebSocket, visit: Visit, response: Response) -> None:
    ours = *visit.headers, *read(build_headers(visit.standings)), (b"x-request-id", visit.request_id.encode())
    response.raw_headers.extend(ours)
    await websocket.send_denial_response(response)

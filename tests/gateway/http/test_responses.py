"""The fast path of responses: one write, without ASGI messages."""

from typing import Any

from gateway.http.request_state import create_request_state
from gateway.http.responses import RawResponse
from gateway.middleware.request_state import WRITE_RESPONSE_EXTENSION, ResponseSender


async def test_a_raw_response_is_written_at_once_where_the_server_can() -> None:
    written, messages = [], []

    def write(scope: Any, status: int, lines: tuple[bytes, ...], body: bytes) -> bool:
        written.append((status, body))
        return True

    async def send(message: Any) -> None:
        messages.append(message["type"])

    scope: dict[str, Any] = {"type": "http", "headers": [], "extensions": {WRITE_RESPONSE_EXTENSION: write}}
    state = create_request_state(scope)
    await RawResponse(200, b"", b"{}", b"application/json")(scope, None, ResponseSender(scope, state, send, b""))
    assert (written, messages, state.status) == ([(200, b"{}")], [], 200)

"""The messages and close codes of `graphql-transport-ws`."""

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.transports.http.parsing import parse_reference
from models.errors import ValidationError

PROTOCOL = "graphql-transport-ws"

GOING_AWAY, TRY_AGAIN_LATER = 1012, 1013
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NO_SUCH_PROTOCOL = 4400, 4401, 4403, 4406
INIT_TIMEOUT, ID_TAKEN, TOO_MANY_INITS, TERMINATED, INTERNAL_ERROR = 4408, 4409, 4429, 4499, 4500
MAX_REASON_BYTES = 123
"""The limit of a close frame (RFC 6455, section 5.5)."""

INIT, SUBSCRIBE, COMPLETE, PING, PONG = "connection_init", "subscribe", "complete", "ping", "pong"
CLIENT_MESSAGES = (INIT, SUBSCRIBE, COMPLETE, PING, PONG)
ERRORS_PREFIX = b'{"errors":'


class WebSocketClose(Exception):
    """The end of a connection, with its close code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
        super().__init__(f"{code}: {reason}")


@dataclass(frozen=True, slots=True)
class Message:
    """A message from a client."""

    type: str
    id: str = ""
    payload: dict[str, Any] | None = None


def parse_message(frame: dict[str, Any], max_bytes: int) -> Message:
    """Return the message of a frame. Raises `WebSocketClose` if the protocol does not allow it."""
    message = parse_object(frame.get("text"), max_bytes)
    type, id, payload = message.get("type"), message.get("id"), message.get("payload")
    if type not in CLIENT_MESSAGES:
        raise WebSocketClose(BAD_REQUEST, "Unknown message type")
    if not isinstance(payload, dict | None):
        raise WebSocketClose(BAD_REQUEST, "payload must be an object")
    if type not in (SUBSCRIBE, COMPLETE):
        return Message(type, payload=payload)
    if not isinstance(id, str) or not id:
        raise WebSocketClose(BAD_REQUEST, f"{type} must have an id, a string")
    if type == SUBSCRIBE:
        check_request(payload or {})
    return Message(type, id, payload)


def parse_object(text: str | None, max_bytes: int) -> dict[str, Any]:
    if text is None:
        raise WebSocketClose(BAD_REQUEST, "Messages must be text")
    if len(text) > max_bytes or (not text.isascii() and len(text.encode()) > max_bytes):
        raise WebSocketClose(BAD_REQUEST, f"A message has at most {max_bytes} bytes")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise WebSocketClose(BAD_REQUEST, "Messages must be JSON objects")
    return message


def check_request(payload: dict[str, Any]) -> None:
    if not isinstance(payload.get("operationName"), str | None):
        raise WebSocketClose(BAD_REQUEST, "operationName must be a string")
    if not all(isinstance(payload.get(name), dict | None) for name in ("variables", "extensions")):
        raise WebSocketClose(BAD_REQUEST, "variables and extensions must be objects")
    try:
        reference = parse_reference(payload, None)
    except ValidationError as error:
        raise WebSocketClose(BAD_REQUEST, error.message) from error
    if not isinstance(payload.get("query"), str | None if reference else str):
        raise WebSocketClose(BAD_REQUEST, "subscribe must have a query, a string, or a document id")


def encode(type: str, payload: dict[str, Any] | None = None) -> str:
    return orjson.dumps({"type": type} if payload is None else {"type": type, "payload": payload}).decode()


class MessageEncoder:
    """Builds the messages of one operation around the engine's JSON."""

    def __init__(self, id: str) -> None:
        self.prefix = f'{{"id":{orjson.dumps(id).decode()},"type":'

    def next(self, body: bytes) -> str:
        return f'{self.prefix}"next","payload":{body.decode()}}}'

    def error(self, body: bytes) -> str:
        """Return the message for a response that has errors only. Its payload is their list."""
        return f'{self.prefix}"error","payload":{body.removeprefix(ERRORS_PREFIX)[:-1].decode()}}}'

    def complete(self) -> str:
        return f'{self.prefix}"complete"}}'

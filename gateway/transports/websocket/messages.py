"""The messages of `graphql-transport-ws`, and the codes that its sockets are closed with."""

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.transports.http.parsing import parse_reference
from models.errors import ValidationError

PROTOCOL = "graphql-transport-ws"

GOING_AWAY, TRY_AGAIN_LATER = 1012, 1013
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NO_SUCH_PROTOCOL = 4400, 4401, 4403, 4406
INIT_TIMEOUT, ID_TAKEN, TOO_MANY_INITS, TERMINATED, INTERNAL_ERROR = 4408, 4409, 4429, 4499, 4500
LONGEST_REASON = 123
"""Bytes that a closing frame has room for."""

INIT, SUBSCRIBE, COMPLETE, PING, PONG = "connection_init", "subscribe", "complete", "ping", "pong"
CLIENT_MESSAGES = (INIT, SUBSCRIBE, COMPLETE, PING, PONG)


class WebSocketClose(Exception):
    """A socket's end: its code, and why."""

    def __init__(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason.encode()[:LONGEST_REASON].decode(errors="ignore")
        super().__init__(f"{code}: {reason}")


@dataclass(frozen=True, slots=True)
class Message:
    """What a client says."""

    type: str
    id: str = ""
    payload: dict[str, Any] | None = None


def parse_message(frame: dict[str, Any], most: int) -> Message:
    """A frame as a message. What the protocol does not know ends the socket, as the protocol says."""
    message = parsed(frame.get("text"), most)
    type, id, payload = message.get("type"), message.get("id"), message.get("payload")
    if type not in CLIENT_MESSAGES:
        raise WebSocketClose(BAD_REQUEST, "The message's type is none that a client may send")
    if not isinstance(payload, dict | None):
        raise WebSocketClose(BAD_REQUEST, "A payload is an object")
    if type not in (SUBSCRIBE, COMPLETE):
        return Message(type, payload=payload)
    if not isinstance(id, str) or not id:
        raise WebSocketClose(BAD_REQUEST, f"{type} has an id, which is text")
    if type == SUBSCRIBE:
        check_request(payload or {})
    return Message(type, id, payload)


def parsed(text: str | None, most: int) -> dict[str, Any]:
    if text is None:
        raise WebSocketClose(BAD_REQUEST, "Messages are text")
    if len(text) > most or (not text.isascii() and len(text.encode()) > most):
        raise WebSocketClose(BAD_REQUEST, f"Messages have at most {most} bytes")
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        raise WebSocketClose(BAD_REQUEST, "Messages are JSON objects")
    return message


def check_request(payload: dict[str, Any]) -> None:
    if not isinstance(payload.get("operationName"), str | None):
        raise WebSocketClose(BAD_REQUEST, "An operationName is text")
    if not all(isinstance(payload.get(name), dict | None) for name in ("variables", "extensions")):
        raise WebSocketClose(BAD_REQUEST, "Variables and extensions are objects")
    try:
        reference = parse_reference(payload, None)
    except ValidationError as refusal:
        raise WebSocketClose(BAD_REQUEST, refusal.message) from refusal
    if not isinstance(payload.get("query"), str | None if reference else str):
        raise WebSocketClose(BAD_REQUEST, "subscribe has a query, which is text, or names a document")


def encode(type: str, payload: dict[str, Any] | None = None) -> str:
    return orjson.dumps({"type": type} if payload is None else {"type": type, "payload": payload}).decode()


class MessageEncoder:
    """Puts what an engine says, which is JSON already, into the messages of one operation."""

    def __init__(self, id: str) -> None:
        self.head = f'{{"id":{orjson.dumps(id).decode()},"type":'

    def next(self, body: bytes) -> str:
        return f'{self.head}"next","payload":{body.decode()}}}'

    def error(self, body: bytes) -> str:
        """`body` has errors alone; the payload is their list."""
        return f'{self.head}"error","payload":{body.removeprefix(ERRORS)[:-1].decode()}}}'

    def complete(self) -> str:
        return f'{self.head}"complete"}}'


ERRORS = b'{"errors":'

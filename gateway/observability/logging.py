"""Logs: one line for each request, and each line one JSON object in production."""

import logging
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from gateway.http.request_state import Visit, present

ours, access = logging.getLogger("gateway"), logging.getLogger("gateway.access")
REQUEST = "request"
"""What a line says that is about one."""

OURS = "gateway", "models", "resolvers", "schema", "uvicorn"

SAID = orjson.OPT_NON_STR_KEYS
APPENDING = SAID | orjson.OPT_APPEND_NEWLINE


def configure(*, as_json: bool, more: Callable[[], dict[str, str]] = dict) -> None:
    """Send our logs, and the server's where nobody else has, to standard output; each line says `more` besides."""
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line shows them
    handler = StandardOutput()
    handler.setFormatter(JsonLines(more) if as_json else Readable(more))
    for name in OURS:
        logger = logging.getLogger(name)
        if not logger.handlers or name != "uvicorn":
            logger.handlers = [handler]
        logger.setLevel(logging.INFO)


def log_request(scope: Any, visit: Visit, seconds: float) -> None:
    """Note a request that was answered. Its query string and headers stay out: they may hold secrets."""
    if not access.isEnabledFor(logging.INFO):
        return
    fields: dict[str, Any] = {"method": scope["method"], "path": scope["path"]}
    if visit.operation:
        fields["operation"] = visit.operation
    fields["status"], fields["ms"] = visit.status, round(seconds * 1000, 2)
    if visit.viewer:
        fields["viewer"] = str(visit.viewer)
    fields["requestId"] = visit.request_id
    if visit.codes:
        fields["codes"] = visit.codes
    if (handler := nobody_else()) and handler.noted(fields):
        return
    # `access.info` would look for the line that it was called at, which costs as much as all the rest.
    record = logging.LogRecord(access.name, logging.INFO, "", 0, REQUEST, (), None)
    record.fields = fields
    access.handle(record)


class StandardOutput(logging.Handler):
    """Writes to whatever standard output is at the time. `StreamHandler` locks again to flush."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)

    def noted(self, fields: dict[str, Any]) -> bool:
        """Write a request's line without a record; False where it cannot be written, which records have a way for."""
        try:
            out = sys.stdout.buffer
            out.write(self.formatter.line(time.time(), "info", access.name, REQUEST, fields, APPENDING))
            out.flush()
        except Exception:
            return False
        return True


def nobody_else() -> StandardOutput | None:
    """Our handler, where requests are noted by nobody else: a record that is made and handed round for it alone costs
    three times what the line does."""
    if access.handlers or access.filters or logging.root.handlers or len(ours.handlers) != 1:
        return None
    (handler,) = ours.handlers
    return handler if isinstance(handler, StandardOutput) and isinstance(handler.formatter, JsonLines) else None


class Lines(logging.Formatter):
    """Lines that say more than their record does."""

    def __init__(self, more: Callable[[], dict[str, str]] = dict) -> None:
        super().__init__()
        self.more = more


class JsonLines(Lines):
    """One object a line, whatever strangers put into a path."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or whose()
        if record.exc_info:
            fields = {**fields, "exception": self.formatException(record.exc_info)}
        line = self.line(record.created, record.levelname.lower(), record.name, record.getMessage(), fields)
        return line.decode()

    def line(
        self, moment: float, level: str, name: str, message: str, fields: dict[str, Any], option: int = SAID
    ) -> bytes:
        written = f"{second(int(moment))}.{int(moment % 1 * 1000):03}Z"
        said = {"time": written, "level": level, "logger": name, "message": message, **fields, **self.more()}
        return orjson.dumps(said, default=str, option=option)


def whose() -> dict[str, str]:
    """The id of the request that a line is about, as its client was told it."""
    visit = present.get()
    return {"requestId": visit.request_id} if visit else {}


@lru_cache(2)
def second(moment: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))


class Readable(Lines):
    """For people: `12:30:01 POST /graphql ListPosts 200 3.1 ms viewer=… id=…`."""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None)
        if fields and record.name == access.name:
            said = sentence(**fields)
        else:
            said = " ".join([record.getMessage(), *(f"id={id}" for id in whose().values())])
        said = " ".join([said, *(f"{name}={value}" for name, value in self.more().items())])
        line = f"{self.formatTime(record, '%H:%M:%S')} {plain(said)}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def sentence(
    *, method: str, path: str, status: int, ms: float, operation: str = "", viewer: str = "-", **others: Any
) -> str:
    codes = " ".join(others.get("codes", ()))
    said = method, path, operation, str(status), codes, f"{ms} ms", f"viewer={viewer}", f"id={others['requestId']}"
    return " ".join(filter(None, said))


def plain(text: str) -> str:
    """Text that stays on its line and moves no cursor."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

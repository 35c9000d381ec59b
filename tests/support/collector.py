"""A small collector of spans: what OTLP over HTTP sends, as the protocol has it."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.stores import unavailable

KINDS = {2: "server", 3: "client", 1: "internal"}


@dataclass(frozen=True)
class Span:
    """One span, as it arrived."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    failed: bool
    about: dict[str, Any]


@dataclass
class Collector:
    """What has arrived; all of it once the server that sends has stopped."""

    address: str = ""
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    raw: bytes = b""
    """The bodies of all requests, decompressed."""

    def take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(values(resource.resource.attributes))
            self.spans += [span(each) for scope in resource.scope_spans for each in scope.spans]

    def named(self, name: str) -> list[Span]:
        return [each for each in self.spans if each.name == name]

    def one(self, name: str) -> Span:
        (found,) = self.named(name)
        return found


def span(each: Any) -> Span:
    ids = each.trace_id.hex(), each.span_id.hex(), each.parent_span_id.hex()
    return Span(each.name, KINDS[each.kind], *ids, each.status.code == 2, values(each.attributes))


def values(attributes: Any) -> dict[str, Any]:
    return {each.key: value(each.value) for each in attributes}


def value(given: Any) -> Any:
    kind = given.WhichOneof("value")
    found = getattr(given, kind)
    return [value(each) for each in found.values] if kind == "array_value" else found


@contextmanager
def open_collector() -> Iterator[Collector]:
    """A collector that listens, for the scope. Skips the test where the optional packages are not installed."""
    try:
        import opentelemetry.exporter.otlp.proto.http
        import opentelemetry.sdk  # noqa: F401 - only whether it is there
    except ImportError as error:
        unavailable("the extra otel", error)
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    collector.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()

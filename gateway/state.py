"""The parts of a running server. `gateway/wiring.py` opens and closes them."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from gateway.auth.authenticator import Authenticator
from gateway.auth.session_monitor import SessionMonitor
from gateway.events.broadcaster import Broadcaster
from gateway.events.log import EventLog
from gateway.graphql.engine import Engine
from gateway.limits import Limits
from gateway.limits.open_streams import OpenStreams
from gateway.middleware.concurrency import InFlight
from gateway.observability.metrics.recorder import MetricsRecorder
from gateway.observability.tracing.operations import ContextExtractor, no_context
from gateway.persisted.resolver import DocumentResolver
from gateway.settings import Settings
from models import Database
from resolvers.context import RequestContext
from resolvers.images.thumbnails import Thumbnails
from resolvers.ports import LanguageModel, Payments, Storage, WebhookVerifier
from resolvers.tokens import Tokens


@dataclass(slots=True, kw_only=True)
class AppState:
    """Everything that a running server holds."""

    settings: Settings
    in_flight: InFlight
    db: Database
    log_db: Database
    """For the event log, the session monitor and health checks, so that busy operations do not delay them."""
    engine: Engine
    persisted: DocumentResolver
    tokens: Tokens
    authenticator: Authenticator
    payments: Payments | None
    signatures: WebhookVerifier
    limits: Limits
    redis: Redis | None
    log: EventLog
    streams: OpenStreams
    session_monitor: SessionMonitor
    broadcaster: Broadcaster
    model: LanguageModel
    storage: Storage
    thumbnails: Thumbnails
    upload_dir: Path | None
    """The folder for unfinished uploads; None for the system's own."""
    recorder: MetricsRecorder
    extract_context: ContextExtractor = no_context
    """Reads a client's trace context from an operation over a WebSocket."""
    started: float = field(default_factory=time.monotonic)

    def context(self, request_id: str) -> RequestContext:
        """Return the context of one request's operations."""
        return RequestContext(db=self.db, tokens=self.tokens, payments=self.payments, request_id=request_id)


def get_state(connection: HTTPConnection) -> AppState:
    """Return the state of the server that a request or WebSocket belongs to."""
    return connection.scope["app"].state.gateway

"""The composition root: everything a running server holds, opened and closed in one place."""

import gc
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from redis.asyncio import Redis
from starlette.requests import HTTPConnection

from gateway.adapters.language_models import language_model
from gateway.adapters.storage import create_storage
from gateway.adapters.stripe import create_verifier, open_payments
from gateway.adapters.wakeups import create_wakeup
from gateway.auth.api_key_usage import ApiKeyUsage
from gateway.auth.authenticator import Authenticator
from gateway.auth.authjs import create_authjs
from gateway.auth.oidc import open_oidc
from gateway.auth.secret import get_auth_secret
from gateway.auth.session_monitor import SessionMonitor
from gateway.auth.sessions import SessionLookup
from gateway.cli.migrations import ensure_migrated
from gateway.events.broadcaster import Broadcaster
from gateway.events.log import EventLog
from gateway.graphql.cache.response_cache import ResponseCache
from gateway.graphql.database import open_reads
from gateway.graphql.engine import DocumentLimits, Engine
from gateway.http.middleware.concurrency import InFlight
from gateway.limits import Limits
from gateway.limits.open_streams import OpenStreams
from gateway.limits.sliding_window import create_redis_client
from gateway.observability.metrics.recorder import MetricsRecorder
from gateway.observability.tracing.operations import ContextExtractor, no_context
from gateway.persisted.resolver import DocumentResolver
from gateway.persisted.trusted_documents import TrustedDocuments
from gateway.persisted.usage_log import UsageLog
from gateway.settings import Settings
from gateway.tasks.cleanup import run_cleanup_jobs
from models import Database, Event
from resolvers.context import RequestContext
from resolvers.images.thumbnails import Thumbnails
from resolvers.ports import LanguageModel, Payments, Storage, WebhookVerifier
from resolvers.tokens import Tokens
from schema import schema

COUNT_BYTES = 4 * 1024 * 1024
"""What totals may take that are kept: some thousands of them."""
GC_THRESHOLDS = 20_000, 5, 400
"""How many objects more, then how many collections of the young, then of those, bring on a collection.

What a hostile document leaves behind is collected by the second: with more of the young, in a tenth of a second.
"""


@dataclass(slots=True, kw_only=True)
class AppState:
    """One server's parts."""

    settings: Settings
    in_flight: InFlight
    db: Database
    log_db: Database
    """For the log, the watch over streams and health checks: operations that wait for each other cannot keep it."""
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
    hub: Broadcaster
    model: LanguageModel
    storage: Storage
    thumbnails: Thumbnails
    upload_dir: Path | None
    """Where uploads wait for their end."""
    recorder: MetricsRecorder
    extract_context: ContextExtractor = no_context
    """How an operation over a socket goes on with its client's trace."""
    started: float = field(default_factory=time.monotonic)

    def context(self, request_id: str) -> RequestContext:
        """What operations are handed, for one request."""
        return RequestContext(db=self.db, tokens=self.tokens, payments=self.payments, request_id=request_id)


def get_state(connection: HTTPConnection) -> AppState:
    """Return the parts of the server that a request came to."""
    return connection.scope["app"].state.gateway


@asynccontextmanager
async def open_app(settings: Settings, work: InFlight, recorder: MetricsRecorder) -> AsyncIterator[AppState]:
    """A server's parts, for as long as it runs."""
    await ensure_migrated(settings)
    async with AsyncExitStack() as stack:
        longest = settings.database_timeout.total_seconds()
        db = Database(settings.database_url, pool_size=settings.database_pool_size, longest=longest)
        stack.push_async_callback(db.close)
        following = open_log_database(db)
        if following is not db:
            stack.push_async_callback(following.close)
        reads = await open_reads(settings.database_url, size=settings.database_read_pool_size, longest=longest)
        stack.push_async_callback(reads.close)
        redis = create_redis_client(settings.redis_url) if settings.redis_url else None
        if redis:
            stack.push_async_callback(redis.aclose)
        payments = await stack.enter_async_context(open_payments(settings))
        answers = ResponseCache(settings.response_cache_bytes if settings.response_cache else 0)
        counts, log = ResponseCache(COUNT_BYTES if settings.count_cache else 0), EventLog(following)
        engine = Engine(schema, reads, document_limits(settings), answers, counts)
        broker, streams = create_wakeup(settings), OpenStreams(settings.max_streams_per_viewer)
        db.announce = broker.announce
        db.committed, db.doubted = (
            partial(invalidate, (answers, counts)),
            partial(invalidate_uncertain, (answers, counts)),
        )
        log.row_listeners |= {answers.on_log_rows, counts.on_log_rows}
        log.on_rewind |= {answers.clear, counts.clear}
        await stack.enter_async_context(log.running())
        await stack.enter_async_context(broker.listening(log.wake))
        session_monitor = await stack.enter_async_context(SessionMonitor(following).running())
        hub = await stack.enter_async_context(Broadcaster(log, streams).running())
        model = await stack.enter_async_context(language_model(settings))
        usage = await stack.enter_async_context(ApiKeyUsage(db).running())
        ledger = await stack.enter_async_context(UsageLog(db).running())
        storage = create_storage(settings.upload_url)
        await stack.enter_async_context(run_cleanup_jobs(db, storage, settings.event_retention))
        oidc = await stack.enter_async_context(open_oidc(settings))
        authjs = create_authjs(settings)
        tokens = Tokens(get_auth_secret(settings))
        yield AppState(
            settings=settings,
            in_flight=work,
            db=db,
            log_db=following,
            engine=engine,
            tokens=tokens,
            payments=payments,
            signatures=create_verifier(settings),
            persisted=DocumentResolver(engine, TrustedDocuments(db), ledger, settings),
            authenticator=Authenticator(db, SessionLookup(reads), tokens, usage, oidc, authjs),
            limits=Limits(settings, redis),
            redis=redis,
            log=log,
            streams=streams,
            session_monitor=session_monitor,
            hub=hub,
            model=model,
            storage=storage,
            thumbnails=Thumbnails(storage),
            upload_dir=spool_of(settings),
            recorder=recorder,
        )


def open_log_database(db: Database) -> Database:
    """A database's own connection, for what must go on while others wait; in SQLite nobody who reads waits."""
    return db if db.is_sqlite else Database(db.url, pool_size=1, longest=db.longest)


def spool_of(settings: Settings) -> Path | None:
    """The data folder, if it can be written: the system's own folder for such files may be in memory."""
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return settings.data_folder if os.access(settings.data_folder, os.W_OK) else None


def invalidate(kept: Iterable[ResponseCache], events: Sequence[Event]) -> None:
    """Drop what a transaction of this server has just made untrue, wherever it is kept."""
    for answers in kept:
        answers.on_commit(events)


def invalidate_uncertain(kept: Iterable[ResponseCache], events: Sequence[Event]) -> None:
    """Drop what a transaction of this server may have made untrue."""
    for answers in kept:
        answers.on_uncertain_commit(events)


def document_limits(settings: Settings) -> DocumentLimits:
    return DocumentLimits(
        depth=settings.graphql_max_depth,
        aliases=settings.graphql_max_aliases,
        root_fields=settings.graphql_max_root_fields,
        tokens=settings.graphql_max_tokens,
        cost=settings.max_cost,
        introspection=settings.introspection_enabled,
        suggestions=settings.introspection_enabled,
    )


def tune_gc() -> None:
    """What was made while starting lives as long as the server: the collector need not look at it again.

    Nor at each stream that is open as often as it would: an event for thousands of them makes thousands of objects, and
    looking for cycles among them was a third of what it cost.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

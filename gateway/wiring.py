"""The composition root: opens everything that a running server holds, and closes it in reverse order."""

import gc
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.asyncio import Redis

from gateway.adapters.language_models import open_language_model
from gateway.adapters.sessions import SessionLookup
from gateway.adapters.storage import create_storage
from gateway.adapters.stripe import create_verifier, open_payments
from gateway.adapters.wakeups import create_wakeup
from gateway.auth.api_key_usage import ApiKeyUsage
from gateway.auth.authenticator import Authenticator
from gateway.auth.authjs import create_authjs
from gateway.auth.oidc import open_oidc
from gateway.auth.secret import get_auth_secret
from gateway.auth.session_monitor import SessionMonitor
from gateway.events.broadcaster import Broadcaster
from gateway.events.log import EventLog
from gateway.graphql.cache.response_cache import ResponseCache
from gateway.graphql.database import ReadDatabase, open_reads
from gateway.graphql.engine import DocumentLimits, Engine
from gateway.limits import Limits
from gateway.limits.open_streams import OpenStreams
from gateway.limits.sliding_window import create_redis_client
from gateway.middleware.concurrency import InFlight
from gateway.observability.metrics.recorder import MetricsRecorder
from gateway.persisted.resolver import DocumentResolver
from gateway.persisted.trusted_documents import TrustedDocuments
from gateway.persisted.usage_log import UsageLog
from gateway.settings import Settings
from gateway.state import AppState
from gateway.tasks.cleanup import run_cleanup_jobs
from gateway.tasks.migrations import ensure_migrated
from models import Database, Event
from resolvers.images.thumbnails import Thumbnails
from resolvers.tokens import Tokens
from schema import schema

COUNT_CACHE_BYTES = 4 * 1024 * 1024
"""Size of the cache of `totalCount`s: some thousands."""
GC_THRESHOLDS = 20_000, 5, 400
"""Thresholds of Python's three generations.

The second stays low: it decides when the garbage of a hostile document is collected (now within a tenth of a second).
"""


@asynccontextmanager
async def open_app(settings: Settings, in_flight: InFlight, recorder: MetricsRecorder) -> AsyncIterator[AppState]:
    """Open everything that a server holds, until the scope is left."""
    await ensure_migrated(settings)
    storage, tokens = create_storage(settings.upload_url), Tokens(get_auth_secret(settings))
    streams = OpenStreams(settings.max_streams_per_viewer)
    async with (
        open_databases(settings) as (db, log_db, reads),
        open_redis(settings) as redis,
        open_engine(settings, reads, db, log_db) as (engine, log),
        SessionMonitor(log_db).running() as session_monitor,
        Broadcaster(log, streams).running() as broadcaster,
        open_authenticator(settings, db, reads, tokens) as authenticator,
        UsageLog(db).running() as document_usage,
        open_payments(settings) as payments,
        open_language_model(settings) as model,
        run_cleanup_jobs(db, storage, settings.event_retention),
    ):
        yield AppState(
            settings=settings,
            in_flight=in_flight,
            db=db,
            log_db=log_db,
            engine=engine,
            persisted=DocumentResolver(engine, TrustedDocuments(db), document_usage, settings),
            tokens=tokens,
            authenticator=authenticator,
            payments=payments,
            signatures=create_verifier(settings),
            limits=Limits(settings, redis),
            redis=redis,
            log=log,
            streams=streams,
            session_monitor=session_monitor,
            broadcaster=broadcaster,
            model=model,
            storage=storage,
            thumbnails=Thumbnails(storage),
            upload_dir=create_upload_dir(settings),
            recorder=recorder,
        )


@asynccontextmanager
async def open_databases(settings: Settings) -> AsyncIterator[tuple[Database, Database, ReadDatabase]]:
    """Open the database for operations, for the event log, and for the read engine.

    The log has a connection of its own, so that it goes on while operations wait; SQLite's readers never wait.
    """
    timeout = settings.database_timeout.total_seconds()
    async with AsyncExitStack() as stack:
        db = log_db = Database(settings.database_url, pool_size=settings.database_pool_size, statement_timeout=timeout)
        stack.push_async_callback(db.close)
        if not db.is_sqlite:
            log_db = Database(db.url, pool_size=1, statement_timeout=timeout)
            stack.push_async_callback(log_db.close)
        reads = await open_reads(settings.database_url, size=settings.database_read_pool_size, query_timeout=timeout)
        stack.push_async_callback(reads.close)
        yield db, log_db, reads


@asynccontextmanager
async def open_redis(settings: Settings) -> AsyncIterator[Redis | None]:
    """Open the Redis client for rate limits, if there is a `REDIS_URL`."""
    if not settings.redis_url:
        yield None
        return
    async with create_redis_client(settings.redis_url) as redis:
        yield redis


@asynccontextmanager
async def open_engine(
    settings: Settings, reads: ReadDatabase, db: Database, log_db: Database
) -> AsyncIterator[tuple[Engine, EventLog]]:
    """Open the read engine and the event log, which invalidates the engine's caches.

    The commits of this process invalidate them at once, and wake the logs of all processes.
    """
    responses = ResponseCache(settings.response_cache_bytes if settings.response_cache else 0)
    counts = ResponseCache(COUNT_CACHE_BYTES if settings.count_cache else 0)
    engine = Engine(schema, reads, document_limits(settings), responses, counts)
    log, wakeup = EventLog(log_db), create_wakeup(settings)
    log.row_listeners |= {responses.on_log_rows, counts.on_log_rows}
    log.on_rewind |= {responses.clear, counts.clear}

    def on_commit(events: Sequence[Event]) -> None:
        responses.on_commit(events)
        counts.on_commit(events)

    def on_uncertain_commit(events: Sequence[Event]) -> None:
        responses.on_uncertain_commit(events)
        counts.on_uncertain_commit(events)

    db.notify, db.on_commit, db.on_uncertain_commit = wakeup.notify, on_commit, on_uncertain_commit
    async with log.running(), wakeup.listen(log.wake):
        yield engine, log


@asynccontextmanager
async def open_authenticator(
    settings: Settings, db: Database, reads: ReadDatabase, tokens: Tokens
) -> AsyncIterator[Authenticator]:
    """Open the verifiers of credentials: access tokens, API keys, OpenID Connect and Auth.js."""
    async with ApiKeyUsage(db).running() as usage, open_oidc(settings) as oidc:
        yield Authenticator(db, SessionLookup(reads), tokens, usage, oidc, create_authjs(settings))


def create_upload_dir(settings: Settings) -> Path | None:
    """Create the data folder for unfinished uploads, or return None if it is not writable.

    The system's temporary folder may be in memory.
    """
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return settings.data_folder if os.access(settings.data_folder, os.W_OK) else None


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
    """Exclude the objects that startup created from garbage collection, and collect less often.

    An event for thousands of open streams creates thousands of objects: collections took a third of its CPU time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

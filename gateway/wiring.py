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
from gateway.adapters.storage import storage_of
from gateway.adapters.stripe import checkouts, signatures
from gateway.adapters.wakeups import broker_of
from gateway.auth.api_key_usage import ApiKeyUsage
from gateway.auth.authenticator import Authenticator
from gateway.auth.authjs import create_authjs
from gateway.auth.oidc import open_oidc
from gateway.auth.secret import get_auth_secret
from gateway.auth.session_monitor import SessionMonitor
from gateway.auth.sessions import SessionLookup
from gateway.cli.migrations import migrated
from gateway.events.broadcaster import Hub
from gateway.events.log import Log
from gateway.graphql.cache.response_cache import Answers
from gateway.graphql.database import open_reads
from gateway.graphql.engine import DocumentLimits, Engine
from gateway.http.middleware.concurrency import Work
from gateway.limits import Limits
from gateway.limits.open_streams import OpenStreams
from gateway.limits.sliding_window import create_redis_client
from gateway.observability.metrics.recorder import MetricsRecorder
from gateway.observability.tracing.operations import ContextExtractor, no_context
from gateway.persisted.resolver import Persisted
from gateway.persisted.trusted_documents import TrustedDocuments
from gateway.persisted.usage_log import Ledger
from gateway.settings import Settings
from gateway.tasks.cleanup import housekeeping
from models import Database, Event
from resolvers.context import RequestContext
from resolvers.images.thumbnails import Thumbnails
from resolvers.ports import LanguageModel, Payments, Signatures, Storage
from resolvers.tokens import Tokens
from schema import schema

COUNT_BYTES = 4 * 1024 * 1024
"""What totals may take that are kept: some thousands of them."""
COLLECT = 20_000, 5, 400
"""How many objects more, then how many collections of the young, then of those, bring on a collection.

What a hostile document leaves behind is collected by the second: with more of the young, in a tenth of a second.
"""


@dataclass(slots=True, kw_only=True)
class Gateway:
    """One server's parts."""

    settings: Settings
    work: Work
    db: Database
    following: Database
    """For the log, the watch over streams and health checks: operations that wait for each other cannot keep it."""
    engine: Engine
    persisted: Persisted
    tokens: Tokens
    authenticator: Authenticator
    payments: Payments | None
    signatures: Signatures
    limits: Limits
    redis: Redis | None
    log: Log
    streams: OpenStreams
    session_monitor: SessionMonitor
    hub: Hub
    model: LanguageModel
    storage: Storage
    thumbnails: Thumbnails
    spool: Path | None
    """Where uploads wait for their end."""
    recorder: MetricsRecorder
    extract_context: ContextExtractor = no_context
    """How an operation over a socket goes on with its client's trace."""
    started: float = field(default_factory=time.monotonic)

    def context(self, request_id: str) -> RequestContext:
        """What operations are handed, for one request."""
        return RequestContext(db=self.db, tokens=self.tokens, payments=self.payments, request_id=request_id)


def get_state(connection: HTTPConnection) -> Gateway:
    """Return the parts of the server that a request came to."""
    return connection.scope["app"].state.gateway


@asynccontextmanager
async def opened(settings: Settings, work: Work, recorder: MetricsRecorder) -> AsyncIterator[Gateway]:
    """A server's parts, for as long as it runs."""
    await migrated(settings)
    async with AsyncExitStack() as stack:
        longest = settings.database_timeout.total_seconds()
        db = Database(settings.database_url, pool_size=settings.database_pool_size, longest=longest)
        stack.push_async_callback(db.close)
        following = followed(db)
        if following is not db:
            stack.push_async_callback(following.close)
        reads = await open_reads(settings.database_url, size=settings.database_read_pool_size, longest=longest)
        stack.push_async_callback(reads.close)
        redis = create_redis_client(settings.redis_url) if settings.redis_url else None
        if redis:
            stack.push_async_callback(redis.aclose)
        payments = await stack.enter_async_context(checkouts(settings))
        answers = Answers(settings.response_cache_bytes if settings.response_cache else 0)
        counts, log = Answers(COUNT_BYTES if settings.count_cache else 0), Log(following)
        engine = Engine(schema, reads, document_limits(settings), answers, counts)
        broker, streams = broker_of(settings), OpenStreams(settings.max_streams_per_viewer)
        db.announce = broker.announce
        db.committed, db.doubted = partial(tell, (answers, counts)), partial(warn, (answers, counts))
        log.witnesses |= {answers.heard, counts.heard}
        log.beginnings |= {answers.clear, counts.clear}
        await stack.enter_async_context(log.running())
        await stack.enter_async_context(broker.listening(log.wake))
        session_monitor = await stack.enter_async_context(SessionMonitor(following).running())
        hub = await stack.enter_async_context(Hub(log, streams).running())
        model = await stack.enter_async_context(language_model(settings))
        usage = await stack.enter_async_context(ApiKeyUsage(db).running())
        ledger = await stack.enter_async_context(Ledger(db).running())
        storage = storage_of(settings.upload_url)
        await stack.enter_async_context(housekeeping(db, storage, settings.event_retention))
        oidc = await stack.enter_async_context(open_oidc(settings))
        authjs = create_authjs(settings)
        tokens = Tokens(get_auth_secret(settings))
        yield Gateway(
            settings=settings,
            work=work,
            db=db,
            following=following,
            engine=engine,
            tokens=tokens,
            payments=payments,
            signatures=signatures(settings),
            persisted=Persisted(engine, TrustedDocuments(db), ledger, settings),
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
            spool=spool_of(settings),
            recorder=recorder,
        )


def followed(db: Database) -> Database:
    """A database's own connection, for what must go on while others wait; in SQLite nobody who reads waits."""
    return db if db.is_sqlite else Database(db.url, pool_size=1, longest=db.longest)


def spool_of(settings: Settings) -> Path | None:
    """The data folder, if it can be written: the system's own folder for such files may be in memory."""
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return settings.data_folder if os.access(settings.data_folder, os.W_OK) else None


def tell(kept: Iterable[Answers], events: Sequence[Event]) -> None:
    """Drop what a transaction of this server has just made untrue, wherever it is kept."""
    for answers in kept:
        answers.wrote(events)


def warn(kept: Iterable[Answers], events: Sequence[Event]) -> None:
    """Drop what a transaction of this server may have made untrue."""
    for answers in kept:
        answers.may_have_written(events)


def document_limits(settings: Settings) -> DocumentLimits:
    return DocumentLimits(
        depth=settings.graphql_max_depth,
        aliases=settings.graphql_max_aliases,
        root_fields=settings.graphql_max_root_fields,
        tokens=settings.graphql_max_tokens,
        cost=settings.max_cost,
        introspection=settings.explorable,
        suggestions=settings.explorable,
    )


def settle() -> None:
    """What was made while starting lives as long as the server: the collector need not look at it again.

    Nor at each stream that is open as often as it would: an event for thousands of them makes thousands of objects, and
    looking for cycles among them was a third of what it cost.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)

"""Cleanup jobs: old events, expired keys and tokens, unpaid orders, orphaned files."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from gateway.tasks.periodic import run_periodically
from models import Database
from resolvers import cleanup, document_usage, idempotency, orders
from resolvers.cleanup import CleanupResult
from resolvers.ports import Storage

MAX_INTERVAL = timedelta(hours=1)
"""Time between two runs. Events are pruned more often if they are kept for less than ten hours."""

logger = logging.getLogger("gateway.housekeeping")


@asynccontextmanager
async def run_cleanup_jobs(db: Database, storage: Storage, retention: timedelta) -> AsyncIterator[None]:
    """Run the jobs in the background. Each process does; the second one finds nothing to do."""
    hourly = MAX_INTERVAL.total_seconds()
    pruning_interval = min(hourly, retention.total_seconds() / 10)
    async with (
        run_periodically(partial(prune_events, db, retention), pruning_interval, "prune events"),
        run_periodically(partial(idempotency.delete_expired, db), hourly, "delete expired idempotency keys"),
        run_periodically(partial(document_usage.delete_old, db), hourly, "delete old document usage"),
        run_periodically(partial(delete_expired_tokens, db), hourly, "delete expired refresh tokens"),
        run_periodically(partial(expire_orders, db), hourly, "expire orders"),
        run_periodically(partial(delete_orphaned_files, db, storage), hourly, "delete orphaned files"),
    ):
        yield


async def prune_events(db: Database, retention: timedelta) -> None:
    if count := await cleanup.prune_events(db, retention):
        logger.info("Deleted %d events older than %s", count, retention)


async def delete_expired_tokens(db: Database) -> None:
    if count := await cleanup.delete_expired_tokens(db):
        logger.info("Deleted %d expired refresh tokens", count)


async def expire_orders(db: Database) -> None:
    if count := await orders.expire(db):
        logger.info("Expired %d orders without a checkout page", count)


async def delete_orphaned_files(db: Database, storage: Storage) -> None:
    deleted = await cleanup.delete_orphans(db, storage)
    if deleted != CleanupResult(0, 0):
        logger.info("Deleted %d uploads and %d orphaned files", deleted.uploads, deleted.files)

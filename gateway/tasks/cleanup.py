"""What nobody comes back for is put in order now and then: old facts, stray files, orders that cannot be paid,
tokens that have expired.
"""

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

OFTEN = timedelta(hours=1)
"""At least this often; events more often where few are kept, so that hardly more are."""

logger = logging.getLogger("gateway.housekeeping")


@asynccontextmanager
async def run_cleanup_jobs(db: Database, storage: Storage, retention: timedelta) -> AsyncIterator[None]:
    """Keep house in the background. Every process does: the second finds nothing left to do."""
    hourly = OFTEN.total_seconds()
    async with (
        run_periodically(
            partial(prune_events, db, retention), min(hourly, retention.total_seconds() / 10), "Pruning events"
        ),
        run_periodically(partial(idempotency.delete_expired, db), hourly, "Forgetting idempotency keys"),
        run_periodically(partial(document_usage.delete_old, db), hourly, "Forgetting old documents"),
        run_periodically(partial(delete_expired_tokens, db), hourly, "Forgetting refresh tokens"),
        run_periodically(partial(expire_orders, db), hourly, "Ending orders"),
        run_periodically(partial(delete_orphaned_files, db, storage), hourly, "Sweeping files"),
    ):
        yield


async def prune_events(db: Database, retention: timedelta) -> None:
    if gone := await cleanup.prune_events(db, retention):
        logger.info("Forgot %d events that were older than %s", gone, retention)


async def delete_expired_tokens(db: Database) -> None:
    if gone := await cleanup.delete_expired_tokens(db):
        logger.info("Forgot %d refresh tokens that had expired", gone)


async def expire_orders(db: Database) -> None:
    if ended := await orders.expire(db):
        logger.info("Ended %d orders that had no page to be paid at", ended)


async def delete_orphaned_files(db: Database, storage: Storage) -> None:
    swept = await cleanup.delete_orphans(db, storage)
    if swept != CleanupResult(0, 0):
        logger.info("Removed %d uploads and %d stray files", swept.uploads, swept.files)

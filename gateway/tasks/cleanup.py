"""What nobody comes back for is put in order now and then: old facts, stray files, orders that cannot be paid,
tokens that have expired.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from gateway.tasks.periodic import now_and_then
from models import Database
from resolvers import document_usage, idempotency, orders, sessions
from resolvers.cleanup import Swept, sweep
from resolvers.ports import Storage
from resolvers.retention import prune

OFTEN = timedelta(hours=1)
"""At least this often; events more often where few are kept, so that hardly more are."""

logger = logging.getLogger("gateway.housekeeping")


@asynccontextmanager
async def housekeeping(db: Database, storage: Storage, retention: timedelta) -> AsyncIterator[None]:
    """Keep house in the background. Every process does: the second finds nothing left to do."""
    hourly = OFTEN.total_seconds()
    async with (
        now_and_then(
            partial(prune_events, db, retention), min(hourly, retention.total_seconds() / 10), "Pruning events"
        ),
        now_and_then(partial(idempotency.forget, db), hourly, "Forgetting idempotency keys"),
        now_and_then(partial(document_usage.forget, db), hourly, "Forgetting old documents"),
        now_and_then(partial(forget_tokens, db), hourly, "Forgetting refresh tokens"),
        now_and_then(partial(end_orders, db), hourly, "Ending orders"),
        now_and_then(partial(sweep_files, db, storage), hourly, "Sweeping files"),
    ):
        yield


async def prune_events(db: Database, retention: timedelta) -> None:
    if gone := await prune(db, retention):
        logger.info("Forgot %d events that were older than %s", gone, retention)


async def forget_tokens(db: Database) -> None:
    if gone := await sessions.forget(db):
        logger.info("Forgot %d refresh tokens that had expired", gone)


async def end_orders(db: Database) -> None:
    if ended := await orders.expire(db):
        logger.info("Ended %d orders that had no page to be paid at", ended)


async def sweep_files(db: Database, storage: Storage) -> None:
    swept = await sweep(db, storage)
    if swept != Swept(0, 0):
        logger.info("Removed %d uploads and %d stray files", swept.uploads, swept.files)

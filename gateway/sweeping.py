"""What nobody comes back for is put in order now and then: files in storage, orders that cannot be paid."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.background import alongside
from models import Database
from models.errors import Unavailable
from resolvers import orders
from resolvers.ports import Storage
from resolvers.sweeping import Swept, sweep

OFTEN = timedelta(hours=1)

logger = logging.getLogger("gateway.sweeping")


@asynccontextmanager
async def sweeping(db: Database, storage: Storage) -> AsyncIterator[None]:
    """Sweep in the background. Every process does: the second finds nothing left to do."""
    async with alongside(now_and_then(db, storage), "sweeping"):
        yield


async def now_and_then(db: Database, storage: Storage) -> None:
    while True:
        await asyncio.sleep(OFTEN.total_seconds() * random.uniform(0.5, 1))  # noqa: S311 - apart from others, no secret
        await attempted(sweep_orders(db))
        await attempted(sweep_files(db, storage))


async def attempted(work: Awaitable[None]) -> None:
    """What fails is tried again the next time, and keeps nothing else from being done."""
    try:
        await work
    except Unavailable:
        logger.debug("Nothing was swept, as storage or the database is away")
    except Exception:
        logger.exception("Sweeping failed; trying again later")


async def sweep_orders(db: Database) -> None:
    if ended := await orders.expire(db):
        logger.info("Ended %d orders that had no page to be paid at", ended)


async def sweep_files(db: Database, storage: Storage) -> None:
    swept = await sweep(db, storage)
    if swept != Swept(0, 0):
        logger.info("Removed %d uploads and %d stray files", swept.uploads, swept.files)

"""What is left lying in storage is swept away now and then."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.background import alongside
from models import Database
from models.errors import Unavailable
from resolvers.ports import Storage
from resolvers.sweeping import Swept, sweep

OFTEN = timedelta(hours=1)

logger = logging.getLogger("gateway.uploads")


@asynccontextmanager
async def sweeping(db: Database, storage: Storage) -> AsyncIterator[None]:
    """Sweep in the background. Every process does: the second finds nothing left to do."""
    async with alongside(now_and_then(db, storage), "sweeping"):
        yield


async def now_and_then(db: Database, storage: Storage) -> None:
    while True:
        await asyncio.sleep(OFTEN.total_seconds() * random.uniform(0.5, 1))  # noqa: S311 - apart from others, no secret
        try:
            swept = await sweep(db, storage)
            if swept != Swept(0, 0):
                logger.info("Removed %d uploads and %d stray files", swept.uploads, swept.files)
        except Unavailable:
            logger.debug("Nothing was swept, as storage or the database is away")
        except Exception:
            logger.exception("Sweeping uploads failed; trying again later")

"""Old events, and the names of old requests, are forgotten now and then."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from gateway.background import alongside
from models import Database
from models.errors import Unavailable
from resolvers.idempotency import forget
from resolvers.retention import prune

OFTEN = timedelta(hours=1)
"""At least this often; more often where little is kept, so that hardly more is."""

logger = logging.getLogger("gateway.live")


@asynccontextmanager
async def pruning(db: Database, retention: timedelta) -> AsyncIterator[None]:
    """Prune in the background. Every process does: the second finds nothing left to do."""
    async with alongside(now_and_then(db, retention), "pruning"):
        yield


async def now_and_then(db: Database, retention: timedelta) -> None:
    period = min(OFTEN, retention / 10).total_seconds()
    while True:
        await asyncio.sleep(period * random.uniform(0.5, 1))  # noqa: S311 - apart from other processes, no secret
        try:
            if gone := await prune(db, retention):
                logger.info("Forgot %d events that were older than %s", gone, retention)
            await forget(db)
        except Unavailable:
            logger.debug("Nothing was pruned, as the database is away")
        except Exception:
            logger.exception("Pruning events failed; trying again later")

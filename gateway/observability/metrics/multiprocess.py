"""Several processes on one socket: whichever Prometheus happens to reach asks the others, and tells of all.

Each listens on a socket of its own in a folder that their parent made. A series says in `worker` whose it is: added up
here, they would seem to fall whenever one of them is replaced, and Prometheus takes a fall for a new beginning.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

FOLDER = "DOVETAIL_WORKERS"
"""The environment variable that tells workers of the folder."""
PATIENCE = 2.0
"""Seconds that the others have to answer; who does not is left out."""

logger = logging.getLogger("gateway.metrics")


@contextmanager
def meeting() -> Iterator[None]:
    """Have a place for the workers that are started in the scope; nothing but this is lost without one."""
    with ExitStack() as stack:
        try:
            os.environ[FOLDER] = stack.enter_context(TemporaryDirectory(prefix="dovetail-"))
        except OSError as error:
            logger.warning("Each worker tells of itself alone at /metrics: %s", error)
        yield


@asynccontextmanager
async def telling(own: Collector) -> AsyncIterator[None]:
    """Tell the other workers what they ask, where there are any, for the scope."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        yield
        return

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(orjson.dumps(readings(own)))
            await writer.drain()
            writer.close()

    path = Path(folder, own_name())
    try:
        server = await asyncio.start_unix_server(tell, path)
    except OSError as error:  # the folder is gone, or its path is longer than a socket's may be
        logger.warning("The other workers are not told at /metrics of this one: %s", error)
        yield
        return
    async with server:
        yield
    forget(path)


async def families(own: Collector) -> Iterable[Metric]:
    """This process's families; or, where there are several processes, those of all."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return own.collect()
    told = [(own_name(), readings(own)), *await asyncio.gather(*(ask(path) for path in others(folder)))]
    merged: dict[str, Metric] = {}
    for worker, entries in told:
        for name, meaning, type_, samples in entries:
            family = merged.setdefault(name, Metric(name, meaning, type_))
            for sample, labels, value in samples:
                family.add_sample(sample, {**labels, "worker": worker}, value)
    return merged.values()


def own_name() -> str:
    return str(os.getpid())


async def ask(path: Path) -> tuple[str, list[Any]]:
    """What a worker has to tell, and which it is; nothing, if it is gone."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path)
            said = await reader.read()
            writer.close()
        return path.name, orjson.loads(said)
    except ConnectionRefusedError:
        forget(path)  # it was killed
    except (OSError, TimeoutError, orjson.JSONDecodeError) as error:
        logger.warning("Worker %s does not say how it is (%s)", path.name, type(error).__name__)
    return path.name, []


def others(folder: str) -> list[Path]:
    """Where the other workers listen; a worker asks nobody of itself."""
    try:
        return sorted(path for path in Path(folder).iterdir() if path.name != own_name())
    except OSError as error:
        logger.warning("The other workers cannot be asked: %s", error)
        return []


def forget(path: Path) -> None:
    path.unlink(missing_ok=True)


def readings(own: Collector) -> list[Any]:
    return [written(family) for family in own.collect()]


def written(family: Metric) -> tuple[str, str, str, list[Any]]:
    return family.name, family.documentation, family.type, [(it.name, it.labels, it.value) for it in family.samples]

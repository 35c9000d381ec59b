"""Metrics of several worker processes: the worker that is scraped collects the series of all others.

Each worker listens on a Unix socket in a directory that the parent process created. Every series has a `worker` label
with its process id: sums would fall when a worker is replaced, and Prometheus takes that for a counter reset.

`prometheus_client` has a multiprocess mode of its own, in which workers write their values to memory-mapped files. With
version 0.26 it cannot keep what `/metrics` promises:

- Custom collectors, gauges with a function and `process_*` metrics are missing. Pools, caches, streams and the age of
  the event log are read at the time of the scrape; as values they would have to be written at every change.
- `remove` is not implemented: an operation name that made room for another (`bounded_labels`) stays forever.
- A gauge of a killed worker keeps its last value until the parent reports the death. Each worker that ever started
  leaves 128 KiB of files.
- Counters and histograms have no `worker` label.
- It adds 2 µs to T's 97 µs of CPU.
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

WORKER_DIR_ENV = "DOVETAIL_WORKERS"
"""The environment variable that names the directory of the workers' sockets."""
SCRAPE_TIMEOUT_SECONDS = 2.0
"""A worker that takes longer is left out of the response."""

logger = logging.getLogger("gateway.metrics")


@contextmanager
def worker_directory() -> Iterator[None]:
    """Create the directory where the workers that start in this scope put their sockets.

    If it cannot be created, `/metrics` has only the series of the worker that was reached.
    """
    with ExitStack() as stack:
        try:
            os.environ[WORKER_DIR_ENV] = stack.enter_context(TemporaryDirectory(prefix="dovetail-"))
        except OSError as error:
            logger.warning("/metrics shows one worker at a time, because no temporary directory was created: %s", error)
        yield


@asynccontextmanager
async def serve_metrics(collector: Collector) -> AsyncIterator[None]:
    """Send this worker's series to other workers that connect; do nothing if there are no workers."""
    folder = os.environ.get(WORKER_DIR_ENV)
    if folder is None:
        yield
        return

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(orjson.dumps(to_json(collector)))
            await writer.drain()
            writer.close()

    path = Path(folder, worker_name())
    try:
        server = await asyncio.start_unix_server(send, path)
    except OSError as error:  # the directory was removed, or its path is too long for a socket
        logger.warning("/metrics of other workers does not include this worker: %s", error)
        yield
        return
    async with server:
        yield
    remove_socket(path)


async def collect_all(collector: Collector) -> Iterable[Metric]:
    """Return this process's metric families, or those of all workers if there are several."""
    folder = os.environ.get(WORKER_DIR_ENV)
    if folder is None:
        return collector.collect()
    others = await asyncio.gather(*(scrape_worker(path) for path in other_workers(folder)))
    merged: dict[str, Metric] = {}
    for worker, families in [(worker_name(), to_json(collector)), *others]:
        for name, documentation, type_, samples in families:
            family = merged.setdefault(name, Metric(name, documentation, type_))
            for sample, labels, value in samples:
                family.add_sample(sample, {**labels, "worker": worker}, value)
    return merged.values()


def worker_name() -> str:
    return str(os.getpid())


async def scrape_worker(path: Path) -> tuple[str, list[Any]]:
    """Return a worker's name and its metric families; none if it does not respond."""
    try:
        async with asyncio.timeout(SCRAPE_TIMEOUT_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            body = await reader.read()
            writer.close()
        return path.name, orjson.loads(body)
    except ConnectionRefusedError:
        remove_socket(path)  # the worker was killed
    except (OSError, TimeoutError, orjson.JSONDecodeError) as error:
        logger.warning("/metrics does not include worker %s: %s", path.name, type(error).__name__)
    return path.name, []


def other_workers(folder: str) -> list[Path]:
    """Return the sockets of all workers but this one."""
    try:
        return sorted(path for path in Path(folder).iterdir() if path.name != worker_name())
    except OSError as error:
        logger.warning("/metrics does not include the other workers: %s", error)
        return []


def remove_socket(path: Path) -> None:
    path.unlink(missing_ok=True)


def to_json(collector: Collector) -> list[Any]:
    """Return the metric families as `[name, documentation, type, [[sample name, labels, value], …]]`."""
    return [
        (family.name, family.documentation, family.type, [(it.name, it.labels, it.value) for it in family.samples])
        for family in collector.collect()
    ]

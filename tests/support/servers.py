"""Servers for tests: the whole application in this process, or as `gateway serve` in one of its own."""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import make_url

from gateway.app import create_app
from gateway.settings import Settings
from models import Database, Role
from resolvers.tokens import Tokens
from tests.support.accounts import Account, sign_up
from tests.support.stores import START_TIMEOUT_SECONDS, free_port

ORIGIN = "http://gateway.test"
SECRET = "a secret of the tests, long enough for HS256"
UPLOADS_FOLDER = tempfile.TemporaryDirectory(prefix="dovetail-uploads-")
"""Where servers in this process keep uploads, unless they are told otherwise; it goes with the process."""
UNLIMITED = {f"rate_limit_{name}": "off" for name in ("api", "auth", "upload", "expensive", "cost")}


@dataclass(frozen=True, slots=True)
class Server:
    """An application that has started, and the database behind it."""

    app: FastAPI
    db: Database
    """The test's own way in: to look at tables, or to put rows where no client could."""
    database_url: str
    anonymous: httpx.AsyncClient
    """Keeps no cookies."""

    @property
    def dialect(self) -> str:
        return make_url(self.database_url).get_backend_name()

    def browser(self, *, address: str = "127.0.0.1", **options: Any) -> httpx.AsyncClient:
        """A client with cookies of its own, calling from an address."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, **options)

    async def account(self, name: str = "Somebody", role: Role = Role.USER) -> Account:
        """Create an account with a session."""
        return await sign_up(self.db, Tokens(SECRET), name=name, role=role)


def build_settings(database_url: str, **changes: Any) -> Settings:
    """A development server's settings without rate limits, whatever this machine's environment says."""
    ours = {
        "database_url": database_url,
        "auth_secret": SECRET,
        "redis_url": None,
        "upload_url": f"file:{UPLOADS_FOLDER.name}",
    }
    given = {**ours, **UNLIMITED, **changes}
    return Settings(_env_file=None, **given)


@asynccontextmanager
async def open_server(database_url: str, **changes: Any) -> AsyncIterator[Server]:
    """The application in this process, started and stopped as a server would."""
    app = create_app(build_settings(database_url, **changes))
    db = Database(database_url, pool_size=2)
    async with lifespan(app), no_cookies(app) as anonymous:
        db.on_commit = lambda events: clear_caches(app)  # no client could, so no event tells of it
        yield Server(app, db, database_url, anonymous)
    await db.close()


def clear_caches(app: FastAPI) -> None:
    """Have a server keep nothing of what it has read, nor take a database that was emptied for an old backup."""
    engine, app.state.gateway.log.last = app.state.gateway.engine, None
    engine.response_cache.clear()
    engine.count_cache.cache.clear()


def no_cookies(app: FastAPI) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, cookies=jar)


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start-up and shut-down in a task of their own, as a server runs them; an error in either is raised here."""
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    state: dict[str, Any] = {}
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    running = asyncio.ensure_future(app(scope, inbox.get, outbox.put))
    try:
        await send_lifespan_event(running, inbox, outbox, "startup")
        yield
        await send_lifespan_event(running, inbox, outbox, "shutdown")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def send_lifespan_event(running: asyncio.Future, inbox: asyncio.Queue, outbox: asyncio.Queue, word: str) -> None:
    await inbox.put({"type": f"lifespan.{word}"})
    response = asyncio.ensure_future(outbox.get())
    await asyncio.wait([running, response], return_when=asyncio.FIRST_COMPLETED)
    if not response.done():
        response.cancel()
        running.result()
        raise RuntimeError(f"The application ended during {word}")
    message = response.result()
    if message["type"] != f"lifespan.{word}.complete":
        await asyncio.wait([running], timeout=1)
        if running.done() and (error := running.exception()):
            raise error
        raise RuntimeError(message.get("message") or f"{word} failed")


@contextmanager
def run_gateway(folder: Path, database_url: str, **environment: str) -> Iterator[str]:
    """The address of a server in a process of its own, listening on a free port of this machine."""
    port = free_port()
    command = [sys.executable, "-c", "from gateway.cli import app; app()", "serve", "--port", str(port)]
    log = folder / f"gateway-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=build_environment(database_url, **environment), stdout=output, stderr=output
        )
        try:
            wait_until_alive(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            stop(process)


def build_environment(database_url: str, **changes: str) -> dict[str, str]:
    """This machine's environment without what would set the server up otherwise."""
    ours = {name.upper(): value for name, value in UNLIMITED.items()}
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
    }
    return {**kept, **ours, "DATABASE_URL": database_url, "AUTH_SECRET": SECRET, **changes}


def wait_until_alive(address: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 3 * START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{address}/api/health/live", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not come up (exit code {process.poll()}):\n{log.read_text()}")


def stop(process: subprocess.Popen) -> None:
    """Send SIGTERM, and SIGKILL if the process does not end."""
    process.terminate()
    try:
        process.wait(START_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

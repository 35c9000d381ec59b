"""Servers under measurement, each in processes of its own, and the CPU that they and Postgres spend."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import asyncpg

from gateway.settings import Settings
from tests.benchmarks.contenders import Contender
from tests.benchmarks.wire import Request

ROOT = Path(__file__).parents[2]
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 30
"""Seconds that a server has to come up, and to end."""

PRODUCTION = {
    "ENVIRONMENT": "production",
    "AUTH_SECRET": "only-for-measuring-" + "0" * 32,
    "RATE_LIMIT_API": "100000000/minute",
    "RATE_LIMIT_AUTH": "100000000/minute",
    "RATE_LIMIT_COST": "1000000000/minute",
    "MAX_IN_FLIGHT": "1000",
    "NODE_ENV": "production",
    "GRAPHILE_ENV": "production",
}
ACCOUNT = {"email": "bench@dovetail.example", "password": "only for measuring"}


@dataclass(frozen=True)
class Server:
    contender: Contender
    pid: int
    port: int
    database_url: str

    def cpu(self) -> float:
        """Seconds of CPU that its processes have spent."""
        return sum(map(spent, family(self.pid)))

    def ask(self, request: Request) -> HTTPResponse:
        """One request, answered in whole; its body is read by whoever wants it."""
        headers = {"Content-Type": "application/json", **dict(request.headers)}
        address = f"http://127.0.0.1:{self.port}{request.path}"
        asked = urllib.request.Request(address, request.body or None, headers)
        try:
            return urllib.request.urlopen(asked, timeout=PATIENCE)
        except urllib.error.HTTPError as error:
            error.add_note(f"{request.path}: {error.read().decode(errors='replace')[:2000]}")
            raise

    def signed_in(self) -> tuple[str, str]:
        """The header of somebody who is signed in, where that is known; the account is made when first wanted."""
        if self.contender.name.startswith("floor"):
            return ("Authorization", "Bearer none")
        if self.contender.speaks == "rest":
            return ("Authorization", f"Bearer {self.post('/api/auth/login', ACCOUNT)['data']['accessToken']}")
        try:
            told = self.post("/api/auth/register", {"name": "Bench", **ACCOUNT})
        except urllib.error.HTTPError as error:
            error.close()
            told = self.post("/api/auth/login", ACCOUNT)
        return ("Authorization", f"Bearer {told['data']['accessToken']}")

    def post(self, path: str, body: Any) -> Any:
        address, headers = f"http://127.0.0.1:{self.port}{path}", {"Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(address, json.dumps(body).encode(), headers)) as answer:
            return json.load(answer)


@contextmanager
def serving(contender: Contender, database_url: str, programs: Path | None = None) -> Iterator[Server]:
    """A server that answers; stopped at the end."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, Path(folder, "log").open("w+") as log:
        process = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in contender.command],
            env=environment(contender, database_url, port),
            cwd=programs if contender.on_node else folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for(port, process)
            yield Server(contender, process.pid, port, database_url)
        except BaseException as error:
            log.seek(0)
            error.add_note(f"{contender.name} said: {log.read()[-3000:]}")
            raise
        finally:
            stop(process)


def environment(contender: Contender, database_url: str, port: int) -> dict[str, str]:
    """This machine's, without what would set a server up otherwise."""
    ours = {name.upper() for name in Settings.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    where = {"DATABASE_URL": database_url, "POSTGRES_URL": plain(database_url), "PORT": str(port)}
    return {**kept, **PRODUCTION, **where, "PYTHONPATH": str(ROOT), **contender.environment}


def plain(url: str) -> str:
    """As asyncpg and pg spell it."""
    return url.replace("+asyncpg", "")


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Any answer will do: not every server has the same paths."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/graphql", timeout=5).close()
        except urllib.error.HTTPError as error:
            return error.close()
        except OSError:
            time.sleep(0.1)
        else:
            return None
    raise TimeoutError("the server does not answer")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def family(pid: int) -> Iterable[int]:
    """A process and all that it started."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from family(int(child))


def spent(pid: int) -> float:
    """Seconds of CPU of a process, from the kernel's own accounting; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def postgres_spent(url: str) -> dict[int, float]:
    """Seconds of CPU of each Postgres process that serves this database, but for the one that asks."""
    if url.startswith("sqlite"):
        return {}
    return {pid: spent(pid) for pid in asyncio.run(backends(url))}


async def backends(url: str) -> list[int]:
    connection = await asyncpg.connect(plain(url))
    try:
        wanted = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        return [row["pid"] for row in await connection.fetch(wanted)]
    finally:
        await connection.close()

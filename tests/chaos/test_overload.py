"""Four times as many requests as there is room for."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from models import Database, Post
from resolvers.tokens import Tokens
from tests.chaos.report import NOTES
from tests.chaos.rush import Rush
from tests.support.accounts import sign_up
from tests.support.processes import ServerProcess
from tests.support.servers import SECRET
from tests.support.stores import unavailable
from tests.support.writing import CONTENT

pytestmark = pytest.mark.anyio

SECONDS, MOST, PAUSE = 4.0, 32, 0.02
BODY = json.dumps({"query": "{ posts(first: 20) { nodes { id title excerpt author { id name } likeCount } } }"})
HEAD = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
REQUEST = (HEAD + BODY).encode()


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
async def test_at_four_times_capacity_the_surplus_is_turned_away(unused_database, tmp_path: Path, dialect: str) -> None:
    """With `Retry-After`; what is accepted waits no longer than what may be in flight takes."""
    url = await unused_database(dialect)
    await filled(url)
    async with ServerProcess(tmp_path, url, MAX_IN_FLIGHT=str(MOST), ENVIRONMENT="production") as server:
        quiet, probe = Rush(server.address, REQUEST), Rush(server.address, REQUEST)
        await quiet.closed(1.0, MOST // 2)
        quiet.forget()
        capacity = await quiet.closed(SECONDS, MOST // 2)
        await probe.closed(0.1, 4)
        probe.forget()
        with flood(server.address, tmp_path, 4 * MOST, SECONDS + 1):
            await asyncio.sleep(0.5)
            await probe.closed(SECONDS, 4, PAUSE)
    NOTES.append(
        f"overload on {dialect}: {capacity:.0f} requests/s by {MOST // 2} clients, {told(quiet, 200)}; by {4 * MOST}"
        f" clients where {MOST} may be in flight: accepted {told(probe, 200)}; turned away {told(probe, 503)}"
    )
    assert set(probe.took) <= {200, 503}
    assert probe.took[200]
    assert probe.took[503]
    assert probe.retry_after
    assert "Traceback" not in server.log.read_text()


async def filled(url: str) -> None:
    db = Database(url, pool_size=1)
    author = await sign_up(db, Tokens(SECRET), name="Ann Author")
    async with db.writing() as session:
        session.add_all(
            Post(title=f"Post {n}", slug=f"post-{n}", content=CONTENT, status="PUBLISHED", author_id=UUID(author.id))
            for n in range(20)
        )
    await db.close()


@contextmanager
def flood(address: str, folder: Path, clients: int, seconds: float) -> Iterator[None]:
    """So many clients who ask again as soon as they are answered, whatever the answer."""
    if not (program := shutil.which("wrk")):
        unavailable("wrk", "it makes more requests than a client in Python can")
    script = folder / "flood.lua"
    script.write_text(f'wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json"; wrk.body = [[{BODY}]]')
    command = [program, "-t1", f"-c{clients}", f"-d{seconds:.0f}s", "-s", str(script), f"{address}/graphql"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.wait(30)


def told(rush: Rush, status: int) -> str:
    p50, p99 = (1e3 * rush.quantile(status, share) for share in (0.5, 0.99))
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms"

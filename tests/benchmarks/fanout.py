"""`python -m tests.benchmarks.fanout`: one server process, thousands of followers, and how fast they hear of writes.

Writes go through the API, each once all followers have heard of the one before. Of the time from sending a write until
the last follower has heard of it come the deliveries a second; memory is the server's, without the kernel's sockets.
`DATABASE_URL` names a database; without it there is an SQLite file for the run.
"""

import argparse
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.crowd import Crowd, crowd
from tests.benchmarks.servers import PRODUCTION, free_port, spent, wait_for

FEED = b"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SUBSCRIPTION = "subscription { postEvents { id type post { id title commentCount author { name } } } }"
WARMING = 5
"""Writes before those that count."""


@dataclass(frozen=True)
class Result:
    """Of one crowd. Latencies in ms, CPU in µs a delivery, memory in KiB a follower."""

    followers: int
    lost: int
    per_second: float
    p50: float
    p99: float
    cpu: float
    memory: float


@dataclass
class Api:
    """Somebody who is signed in, and writes."""

    port: int
    token: str = ""
    post: str = ""

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        who = {"name": "Bea", "email": f"bea{time.time_ns()}@example.com", "password": "correct horse battery"}
        self.token = self.send("/api/auth/register", who)["data"]["accessToken"]
        post = {"title": "A post", "content": "Long enough to be the content.", "status": "PUBLISHED"}
        self.post = self.send("/api/posts", post)["data"]["id"]

    def send(self, path: str, body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        self.connection.request("POST", path, json.dumps(body), headers)
        return json.loads(self.connection.getresponse().read())

    def write(self, number: int) -> None:
        """One event."""
        query = "mutation($post: ID!, $content: String!) { addComment(postId: $post, content: $content) { id } }"
        variables = {"post": self.post, "content": f"Comment {number}"}
        answer = self.send("/graphql", {"query": query, "variables": variables})
        assert "errors" not in answer, answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--followers", type=int, default=5000)
    parser.add_argument("--writes", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1, help="of the followers; two where there are cores for them")
    parser.add_argument("--transports", nargs="+", default=["feed", "graphql"])
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| transport | followers | writes | lost | deliveries/s | p50 ms | p99 ms | CPU µs | KiB a follower |")
    print("|---|---|---|---|---|---|---|---|---|")
    for _ in range(options.rounds):
        for transport in options.transports:
            result = measured(transport, options)
            print(
                f"| {transport} | {result.followers:,} | {options.writes} | {result.lost} | {result.per_second:,.0f}"
                f" | {result.p50:.0f} | {result.p99:.0f} | {result.cpu:.1f} | {result.memory:.1f} |",
                flush=True,
            )


def measured(transport: str, options: argparse.Namespace) -> Result:
    with serving() as (pid, port):
        api = Api(port)
        rest(lambda: api.write(0))
        before = memory(pid)
        with crowd(port, request(transport), options.followers, options.processes) as followers:
            written(api, followers, options.followers, WARMING)
            kept = memory(pid) - before
            cpu, sent = spent(pid), written(api, followers, options.followers, options.writes)
            cpu = spent(pid) - cpu
            receipts = followers.receipts()
    return result(receipts, sent, cpu, kept)


def written(api: Api, followers: Crowd, count: int, writes: int) -> list[float]:
    """When each write was sent."""
    api.connection.close()  # the server will have given it up meanwhile; it opens again by itself
    sent, heard = [], followers.heard
    for number in range(writes):
        sent.append(time.monotonic())
        api.write(number)
        followers.wait_for(heard + (number + 1) * count)
    return sent


def result(receipts: list[list[tuple[int, float]]], sent: list[float], cpu: float, kept: int) -> Result:
    """Followers hear each event once and in order, or else they lost some."""
    ids = sorted({id for follower in receipts for id, _ in follower})[-len(sent) :]
    lost, latencies, last = 0, [], dict.fromkeys(ids, 0.0)
    moments = dict(zip(ids, sent, strict=True))
    for follower in receipts:
        counted = [(id, at) for id, at in follower if id in moments]
        lost += len(ids) if [id for id, _ in counted] != ids else 0
        for id, at in counted:
            latencies.append(at - moments[id])
            last[id] = max(last[id], at)
    seconds = sum(last[id] - moments[id] for id in ids)
    latencies.sort()
    p50, p99 = (latencies[int(len(latencies) * share)] * 1e3 for share in (0.5, 0.99))
    count = len(receipts)
    return Result(count, lost, len(latencies) / seconds, p50, p99, cpu * 1e6 / len(latencies), kept / 1024 / count)


def request(transport: str) -> bytes:
    if transport == "feed":
        return FEED
    body = json.dumps({"query": SUBSCRIPTION}).encode()
    head = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nAccept: text/event-stream"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def rest(write: Callable[[], None]) -> None:
    """Let the server do once what it does once."""
    for _ in range(20):
        write()
    time.sleep(1)


def memory(pid: int) -> int:
    """Bytes that are the process' own."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@contextmanager
def serving() -> Iterator[tuple[int, int]]:
    """The process and port of `gateway serve`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            **PRODUCTION,
            "DATABASE_URL": os.environ.get("DATABASE_URL", f"sqlite+aiosqlite:///{folder}/gateway.db"),
            "MAX_STREAMS_PER_VIEWER": "1000000",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-m", "gateway", "serve", "--port", str(port)]
        silence = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, env=environment, cwd=folder, **silence)
        try:
            wait_for(port, process)
            yield process.pid, port
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


if __name__ == "__main__":
    main()

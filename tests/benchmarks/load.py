"""Load from one process: wrk where it is installed, else keep-alive connections of our own. Loopback only."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httptools

PATIENCE = 30
"""Seconds that the last answers have, after the time is up."""

SCRIPT = """
local packets, at = {{}}, 0
local file = io.open("{file}", "rb")
for line in file:lines() do packets[#packets + 1] = file:read(tonumber(line)) end
request = function()
  at = at % #packets + 1
  return packets[at]
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What a load met: requests, seconds, latencies in milliseconds, and how many requests failed."""

    requests: int
    seconds: float
    p50: float
    p99: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def drive(port: int, packets: Sequence[bytes], seconds: int, connections: int = 32) -> Load:
    """Requests over keep-alive connections for some seconds, to a server on loopback."""
    if shutil.which("wrk"):
        return by_wrk(port, packets, seconds, connections)
    return asyncio.run(by_hand(port, packets, seconds, connections))


def by_wrk(port: int, packets: Sequence[bytes], seconds: int, connections: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        file, script = Path(folder, "packets"), Path(folder, "load.lua")
        file.write_bytes(b"".join(b"%d\n%b" % (len(packet), packet) for packet in packets))
        script.write_text(SCRIPT.format(file=file))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        shown = subprocess.run(
            [*command, "-s", str(script), f"http://127.0.0.1:{port}/"],
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + PATIENCE,
        )
    line = next(line for line in shown.stdout.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, p99, failed = map(int, line.split()[1:])
    return Load(requests, micros / 1e6, p50 / 1e3, p99 / 1e3, failed)


@dataclass
class Tally:
    until: float
    latencies: list[float] = field(default_factory=list)
    failed: int = 0


class Client(asyncio.Protocol):
    """One connection: the next request as soon as the last is answered, until the time is up."""

    def __init__(self, packets: Any, tally: Tally) -> None:
        self.packets, self.tally = packets, tally
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport, self.parser = transport, httptools.HttpResponseParser(self)
        self.send()

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(next(self.packets))

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        self.tally.latencies.append(now - self.sent)
        self.tally.failed += self.parser.get_status_code() >= 400
        if now < self.tally.until:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.tally.failed += time.perf_counter() < self.tally.until
        self.ended.set_result(None)


async def by_hand(port: int, packets: Sequence[bytes], seconds: int, connections: int) -> Load:
    started = time.perf_counter()
    tally, loop = Tally(started + seconds), asyncio.get_running_loop()
    # Each connection has requests of its own, for those that may be sent only once.
    shares = [cycle(islice(packets, n % len(packets), None, connections)) for n in range(connections)]
    clients = [Client(share, tally) for share in shares]
    async with asyncio.timeout(seconds + PATIENCE):
        await asyncio.gather(*(loop.create_connection(lambda each=each: each, "127.0.0.1", port) for each in clients))
        await asyncio.gather(*(client.ended for client in clients))
    ordered, elapsed = sorted(tally.latencies), time.perf_counter() - started
    p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
    return Load(len(ordered), elapsed, p50, p99, tally.failed)

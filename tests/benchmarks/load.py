"""Load from one process: wrk where it is installed, else keep-alive connections of our own."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import orjson

from tests.benchmarks.workload import Workload

SCRIPT = """
local bodies = {{}}
for line in io.lines("{file}") do bodies[#bodies + 1] = line end
local at = 0
request = function()
  at = at % #bodies + 1
  return wrk.format("POST", nil, {{["Content-Type"] = "application/json"}}, bodies[at])
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


def bodies(workload: Workload) -> list[bytes]:
    return [orjson.dumps({"query": workload.query, "variables": variables}) for variables in workload.variables]


def drive(port: int, workload: Workload, seconds: int, connections: int = 32) -> Load:
    """Requests over keep-alive connections for some seconds, to a server on loopback."""
    if shutil.which("wrk"):
        return by_wrk(port, workload, seconds, connections)
    return asyncio.run(by_hand(port, workload, seconds, connections))


def by_wrk(port: int, workload: Workload, seconds: int, connections: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        file, script = Path(folder, "bodies"), Path(folder, "load.lua")
        file.write_bytes(b"\n".join(bodies(workload)))
        script.write_text(SCRIPT.format(file=file))
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
        shown = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/graphql"], capture_output=True, text=True, check=True
        )
    line = next(line for line in shown.stdout.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, p99, failed = map(int, line.split()[1:])
    return Load(requests, micros / 1e6, p50 / 1e3, p99 / 1e3, failed)


async def by_hand(port: int, workload: Workload, seconds: int, connections: int) -> Load:
    latencies: list[float] = []
    failures = [0]
    started = time.perf_counter()
    until = started + seconds
    await asyncio.gather(*(one(port, workload, until, n, latencies, failures) for n in range(connections)))
    elapsed, ordered = time.perf_counter() - started, sorted(latencies)
    p50, p99 = (ordered[int(len(ordered) * share)] * 1e3 for share in (0.5, 0.99))
    return Load(len(ordered), elapsed, p50, p99, failures[0])


async def one(
    port: int, workload: Workload, until: float, offset: int, latencies: list[float], failures: list[int]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = "POST /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"
    packets = [head.format(len(body)).encode() + body for body in bodies(workload)]
    for packet in cycle(packets[offset:] + packets[:offset]):
        sent = time.perf_counter()
        if sent >= until:
            break
        writer.write(packet)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        failures[0] += not answer.startswith(b"http/1.1 200")
        latencies.append(time.perf_counter() - sent)
    writer.close()

"""`python -m tests.benchmarks`: the gateway, the floor and plain Strawberry in turn, on one Postgres database.

`BENCH_DATABASE_URL` names a database that `gateway seed` has filled; without it one is made and seeded.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections import defaultdict
from statistics import median
from typing import NamedTuple

import asyncpg

from tests.benchmarks.load import drive
from tests.benchmarks.servers import backends, serving, spent
from tests.benchmarks.workload import Workload, workloads

SIZES = ["--users", "1000", "--posts", "20000", "--comments", "100000", "--likes", "200000"]
ADMIN = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
NAME = "dovetail_bench"


class Cost(NamedTuple):
    """Requests a second, latencies in ms, and CPU ms a request of the server and of Postgres."""

    per_second: float
    p50: float
    p99: float
    server: float
    postgres: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of load, for each server, workload and round")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--servers", nargs="+", default=["floor", "gateway", "plain"])
    parser.add_argument("--workloads", nargs="+", default=["L", "D", "T"])
    options = parser.parse_args()
    url = os.environ.get("BENCH_DATABASE_URL") or asyncio.run(seeded())
    costs = measured(url, options)
    print(table(costs, options.servers, options.workloads))


def measured(url: str, options: argparse.Namespace) -> dict[tuple[str, str], list[Cost]]:
    """Rounds are interleaved, so that a machine that drifts drifts for all alike."""
    chosen = workloads(asyncio.run(post_ids(url)))
    costs = defaultdict(list)
    for _ in range(options.rounds):
        for server in options.servers:
            with serving(server, url) as running:
                for name in options.workloads:
                    drive(running.port, chosen[name], 1, options.connections)
                    costs[server, name].append(cost(running, url, chosen[name], options))
    return costs


def cost(server: object, url: str, workload: Workload, options: argparse.Namespace) -> Cost:
    pids = asyncio.run(backends(url))
    before, before_postgres = server.cpu(), sum(map(spent, pids))
    load = drive(server.port, workload, options.seconds, options.connections)
    if load.failed:
        raise RuntimeError(f"{server.name} {workload.name}: {load.failed} requests failed")
    ms = 1000 / load.requests
    postgres = sum(map(spent, pids)) - before_postgres
    return Cost(load.per_second, load.p50, load.p99, (server.cpu() - before) * ms, postgres * ms)


async def post_ids(url: str) -> list:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        wanted = "select id from posts where status = 'PUBLISHED' and deleted_at is null order by id limit 5000"
        return [row["id"] for row in await connection.fetch(wanted)]
    finally:
        await connection.close()


async def seeded() -> str:
    """A database with the data of the measurements; kept, since it takes a while to make."""
    connection = await asyncpg.connect(ADMIN)
    there = await connection.fetchval("select true from pg_database where datname = $1", NAME)
    url = ADMIN.rsplit("/", 1)[0].replace("postgresql://", "postgresql+asyncpg://") + f"/{NAME}"
    environment = {**os.environ, "DATABASE_URL": url}
    gateway = [sys.executable, "-m", "gateway"]
    if not there:
        await connection.execute(f"create database {NAME}")
    await asyncio.to_thread(subprocess.run, [*gateway, "migrate"], env=environment, check=True)
    if not there:
        await asyncio.to_thread(subprocess.run, [*gateway, "seed", *SIZES], env=environment, check=True)
    await connection.execute("checkpoint")
    await connection.close()
    return url


def table(costs: dict[tuple[str, str], list[Cost]], servers: list[str], names: list[str]) -> str:
    """Medians over the rounds, as Markdown."""
    lines = [
        "| | server | req/s | p50 ms | p99 ms | CPU ms server | CPU ms Postgres | CPU by gateway's |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in names:
        medians = {server: Cost(*map(median, zip(*costs[server, name], strict=True))) for server in servers}
        base = medians.get("gateway")
        for server, cost in medians.items():
            ratio = f"{(cost.server + cost.postgres) / (base.server + base.postgres):.2f}" if base else ""
            lines.append(
                f"| {name} | {server} | {cost.per_second:,.0f} | {cost.p50:.1f} | {cost.p99:.1f}"
                f" | {cost.server:.3f} | {cost.postgres:.3f} | {ratio} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()

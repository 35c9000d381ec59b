"""Rounds of load, and what they cost."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks.contenders import Contender
from tests.benchmarks.load import drive
from tests.benchmarks.servers import Server, postgres_spent, serving
from tests.benchmarks.wire import Request
from tests.benchmarks.workload import WORKLOADS


class Cost(NamedTuple):
    """Requests a second, latencies in ms, and CPU ms a request of the server and of Postgres."""

    per_second: float
    p50: float
    p99: float
    server: float
    postgres: float

    @property
    def cpu(self) -> float:
        return self.server + self.postgres

    @property
    def equivalent(self) -> float:
        """Requests a second that one core would do, were nothing else on it."""
        return 1000 / self.cpu


Costs = dict[tuple[str, str], Cost]
"""By server and workload."""


@dataclass(frozen=True)
class Plan:
    """Who does what, for how long."""

    contenders: list[Contender]
    urls: dict[str, str]
    posts: dict[str, list[str]]
    programs: Path | None
    wanted: list[str] = field(default_factory=lambda: list(WORKLOADS))
    rounds: int = 3
    seconds: int = 5
    warming: int = 3
    connections: int = 32

    def workloads(self, contender: Contender) -> list[str]:
        return [name for name in contender.workloads if name in self.wanted]


def measured(plan: Plan, told: Callable[[str], None]) -> Costs:
    """Medians. Rounds are interleaved, so that a machine that drifts drifts for all alike."""
    costs = defaultdict[tuple[str, str], list[Cost]](list)
    for number in range(1, plan.rounds + 1):
        for contender in plan.contenders:
            with serving(contender, plan.urls[contender.database], plan.programs) as server:
                for workload in plan.workloads(contender):
                    told(f"Round {number} of {plan.rounds}: {contender.name}, {workload}")
                    costs[contender.name, workload].append(of_workload(server, workload, plan))
    return {key: Cost(*map(median, zip(*each, strict=True))) for key, each in costs.items()}


def of_workload(server: Server, workload: str, plan: Plan) -> Cost:
    def requests() -> list[Request]:
        return WORKLOADS[workload][1](server, plan.posts[server.contender.database])

    if plan.warming:
        drive(server.port, packets(requests()), plan.warming, plan.connections)
    return cost(server, requests(), plan.seconds, plan.connections)


def cost(server: Server, requests: list[Request], seconds: int, connections: int) -> Cost:
    sent = packets(requests)
    before, before_postgres = server.cpu(), postgres_spent(server.database_url)
    load = drive(server.port, sent, seconds, connections)
    after = postgres_spent(server.database_url)
    if load.failed or not load.requests:
        raise RuntimeError(f"{server.contender.name}: {load.failed} of {load.requests} requests failed")
    ms = 1000 / load.requests
    postgres = sum(spent - before_postgres.get(pid, 0.0) for pid, spent in after.items())
    return Cost(load.per_second, load.p50, load.p99, (server.cpu() - before) * ms, postgres * ms)


def packets(requests: list[Request]) -> list[bytes]:
    return [request.packet for request in requests]

"""The measurements as Markdown."""

from itertools import groupby

from tests.benchmarks.measuring import Cost, Costs
from tests.benchmarks.workload import WORKLOADS

GATEWAY = "gateway"
HEAD = [
    "| | req/s | req/s of one core | p50 ms | p99 ms | CPU ms (server + Postgres) | CPU, times the gateway's |",
    "|---|---|---|---|---|---|---|",
]
LEGEND = """\
"req/s of one core" is 1000 by the CPU ms that server and Postgres spend on a request together: what one core would do,
were nothing else on it. Load shares the cores with both here, so compare that, and the last column, before req/s."""


def table(costs: Costs) -> str:
    """One for each workload, the fastest first."""
    parts = [LEGEND]
    for workload, some in by_workload(costs).items():
        base = some.get(GATEWAY)
        ranked = sorted(some.items(), key=lambda each: each[1].cpu)
        lines = [row(server, cost, base) for server, cost in ranked]
        parts.append("\n".join([f"**{workload}**, {WORKLOADS[workload][0]}", "", *HEAD, *lines]))
    return "\n\n".join(parts)


def by_workload(costs: Costs) -> dict[str, dict[str, Cost]]:
    order = list(WORKLOADS)
    ordered = sorted(costs.items(), key=lambda each: order.index(each[0][1]))
    return {
        workload: {server: cost for (server, _), cost in group}
        for workload, group in groupby(ordered, key=lambda each: each[0][1])
    }


def row(server: str, cost: Cost, base: Cost | None) -> str:
    times = f"{cost.cpu / base.cpu:.2f}" if base else ""
    name = f"**{server}**" if server == GATEWAY else server
    return (
        f"| {name} | {cost.per_second:,.0f} | {cost.equivalent:,.0f} | {cost.p50:.1f} | {cost.p99:.1f}"
        f" | {cost.cpu:.3f} ({cost.server:.3f} + {cost.postgres:.3f}) | {times} |"
    )

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
"req/s of one core" is 1000 divided by the CPU milliseconds that server and Postgres together spend on a request. The
load generator shares the cores with both, so compare this column and the last one rather than req/s."""
SUMMARY_COLUMNS = {
    "L": "list of 20 posts (L)",
    "D": "one post with comments (D)",
    "GET list": "`GET /api/posts`",
    "GET post": "`GET /api/posts/{id}`",
    "createPost": "`createPost`",
}
SUMMARY_OMITS = {"gateway, SQLite", "gateway, two workers", "floor, counting"}


def table(costs: Costs) -> str:
    """One for each workload, the fastest first."""
    parts = [LEGEND]
    for workload, some in by_workload(costs).items():
        base = some.get(GATEWAY)
        ranked = sorted(some.items(), key=lambda each: each[1].cpu)
        lines = [row(server, cost, base) for server, cost in ranked]
        parts.append("\n".join([f"**{workload}**, {WORKLOADS[workload][0]}", "", *HEAD, *lines]))
    return "\n\n".join(parts)


def summary(costs: Costs) -> str:
    """Return one short table: requests per second and core, for each server and the main workloads."""
    workloads = by_workload(costs)
    columns = {workload: title for workload, title in SUMMARY_COLUMNS.items() if workload in workloads}
    ranks: dict[str, tuple[int, float]] = {}
    """For each server its first column, and its figure there, the fastest first."""
    for column, workload in enumerate(columns):
        for server, cost in workloads[workload].items():
            ranks.setdefault(server, (column, -cost.equivalent))
    lines = [f"| | {' | '.join(columns.values())} |", f"|---|{'---|' * len(columns)}"]
    for server in sorted(ranks.keys() - SUMMARY_OMITS, key=ranks.__getitem__):
        cells = [workloads[workload].get(server) for workload in columns]
        name = f"**{server}**" if server == GATEWAY else server
        lines.append(f"| {name} |{''.join(f' {cost.equivalent:,.0f} |' if cost else ' |' for cost in cells)}")
    return "\n".join(lines)


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

"""`python -m tests.benchmarks.growth`: what a list costs as there is more of everything; one server, Postgres.

Tables of up to a million posts are made where they are not there already, which takes minutes; `--posts` says
otherwise.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.benchmarks import databases, machine
from tests.benchmarks.contenders import gateway
from tests.benchmarks.databases import STANDARD, Amounts
from tests.benchmarks.load import drive
from tests.benchmarks.measuring import Cost, cost, packets
from tests.benchmarks.servers import Server, serving
from tests.benchmarks.wire import Request
from tests.benchmarks.workload import LIST, graphql

ITEM = "id title slug excerpt publishedAt author { id name image } commentCount likeCount"
FIRST = f"query F($first: Int) {{ posts(first: $first) {{ nodes {{ {ITEM} }} }} }}"
AFTER = f"query K($after: String) {{ posts(first: 20, after: $after) {{ nodes {{ {ITEM} }} }} }}"
WALK = "query W($after: String) { posts(first: 100, after: $after) { pageInfo { endCursor } } }"
NESTED = [
    "{ posts(first: 10) { nodes { id title } } }",
    "{ posts(first: 10) { nodes { id title comments(first: 3) { nodes { id content } } } } }",
    "{ posts(first: 10) { nodes { id title comments(first: 3) { nodes { id content author { id name } } } } } }",
    """{ posts(first: 10) { nodes { id title comments(first: 3) { nodes { id content author { id name
        posts(first: 3) { nodes { id title } } } } } } } }""",
]
WARMING = 2
PAGES = 1, 500
FIRSTS = 1, 5, 20, 50, 100
CONNECTIONS = 1, 4, 16, 32, 64, 128, 256
HEAD = "| | req/s | p50 ms | p99 ms | CPU ms server | CPU ms Postgres |\n|---|---|---|---|---|---|"


def main() -> None:
    options = read_options()
    print(f"{machine.described(databases.postgres())}\n\n{HEAD}")
    for posts in options.posts:
        with started(databases.postgres(amounts(posts))) as server:
            for name, request in depths(server):
                show(f"{posts:,} posts, {name}", measured(server, request, options.seconds))
    with started(databases.postgres()) as server:
        for first in FIRSTS:
            show(f"`first: {first}`", measured(server, graphql(server, FIRST, {"first": first}), options.seconds))
        for depth, document in enumerate(NESTED, start=1):
            show(f"nested {depth} deep", measured(server, graphql(server, document, {}), options.seconds))
        for connections in CONNECTIONS:
            request = graphql(server, LIST, {"page": 1})
            show(f"{connections} connections", measured(server, request, options.seconds, connections))


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, nargs="+", default=[20_000, 200_000, 1_000_000])
    parser.add_argument("--seconds", type=int, default=5, help="of load, for each row")
    return parser.parse_args()


def amounts(posts: int) -> Amounts:
    """Of comments and likes, which lists do not touch, larger tables have fewer, so as to be made sooner."""
    return STANDARD if posts == STANDARD.posts else Amounts(posts, comments=posts, likes=posts)


@contextmanager
def started(url: str) -> Iterator[Server]:
    with serving(gateway("gateway", ()), url) as server:
        yield server


def depths(server: Server) -> Iterator[tuple[str, Request]]:
    """The same rows by their number and by a cursor."""
    for page in PAGES:
        yield f"page {page}", graphql(server, LIST, {"page": page})
        yield "by cursor", graphql(server, AFTER, {"after": cursor(server, (page - 1) * 20)})


def cursor(server: Server, rows: int) -> str | None:
    """The one after so many rows, walked to as a client would; rows are counted in hundreds, near enough."""
    after = None
    for _ in range(rows // 100):
        after = ask(server, graphql(server, WALK, {"after": after}))["posts"]["pageInfo"]["endCursor"]
    return after


def ask(server: Server, request: Request) -> Any:
    return json.load(server.ask(request))["data"]


def measured(server: Server, request: Request, seconds: int, connections: int = 32) -> Cost:
    drive(server.port, packets([request]), WARMING, connections)
    return cost(server, [request], seconds, connections)


def show(name: str, cost: Cost) -> None:
    print(
        f"| {name} | {cost.per_second:,.0f} | {cost.p50:.1f} | {cost.p99:.1f}"
        f" | {cost.server:.3f} | {cost.postgres:.3f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()

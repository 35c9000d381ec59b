"""`python -m tests.benchmarks`: the gateway beside its floor and its rivals, on the same data, in interleaved rounds.

Makes the data where it is not there already, sees that all answer the same, measures, prints a table, and draws it.
"""

import argparse
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import databases, machine
from tests.benchmarks.agreement import agree
from tests.benchmarks.contenders import Contender, contenders
from tests.benchmarks.databases import STANDARD, Amounts
from tests.benchmarks.measuring import Plan, measured
from tests.benchmarks.picture import picture
from tests.benchmarks.report import summary, table
from tests.benchmarks.rivals import Missing, installed
from tests.benchmarks.servers import ROOT
from tests.benchmarks.workload import WORKLOADS

README, PAGE, PICTURE = ROOT / "README.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmark.svg"
BEGIN, END = "<!-- benchmark -->\n", "<!-- /benchmark -->"


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped"))  # so that the servers are stopped too
    with ExitStack() as stack:
        plan = prepared(options, stack)
        told("Asking everybody the same")
        agree(plan)
        costs = measured(plan, told)
        made_on = machine.described(plan.urls.get("postgres"))
    shown = table(costs)
    print(f"\n{made_on}\n\n{shown}")
    if options.picture:
        options.picture.write_text(picture(costs, made_on))
    if options.write:
        write(PAGE, f"Measured on {made_on}.\n\n{shown}")
        intro = "Requests per second and core (server and Postgres together), measured on"
        write(README, f"{intro} {made_on.partition(',')[0]}.\n\n{summary(costs)}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of load, for each server, workload and round")
    parser.add_argument("--warming", type=int, default=3, help="seconds of load before, for just-in-time compilers")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--posts", type=int, default=STANDARD.posts, help="with 5 comments and 10 likes of each")
    parser.add_argument("--servers", nargs="+", metavar="NAME", help="only those whose names begin so")
    parser.add_argument("--workloads", nargs="+", metavar="NAME", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--picture", type=Path, help="file for the picture; docs/benchmark.svg after a full run")
    parser.add_argument("--write", action="store_true", help="update README.md and docs/benchmarks.md")
    options = parser.parse_args()
    if options.write or (options.servers, options.workloads) == (None, list(WORKLOADS)):
        options.picture = options.picture or PICTURE
    return options


def prepared(options: argparse.Namespace, stack: ExitStack) -> Plan:
    """Everything that the measuring needs, for those who can be had here."""
    some, programs = [each for each in contenders() if wanted(each, options)], None
    if any(each.on_node for each in some):
        programs = Path(stack.enter_context(TemporaryDirectory()))
        try:
            installed(programs)
        except Missing as reason:
            told(f"Without the rivals on Node: {reason}")
            some = [each for each in some if not each.on_node]
    urls = filled({each.database for each in some}, Amounts.of(options.posts), stack)
    posts = {kind: databases.public_posts(url) for kind, url in urls.items()}
    load = options.rounds, options.seconds, options.warming, options.connections
    return Plan(some, urls, posts, programs, options.workloads, *load)


def wanted(contender: Contender, options: argparse.Namespace) -> bool:
    named = not options.servers or contender.name.startswith(tuple(options.servers))
    return named and bool({*contender.workloads} & {*options.workloads})


def filled(kinds: set[str], amounts: Amounts, stack: ExitStack) -> dict[str, str]:
    """The URL of each database that is asked for."""
    urls = {}
    if "sqlite" in kinds:
        urls["sqlite"] = databases.sqlite(amounts)
    if {"postgres", "writes"} & kinds:
        urls["postgres"] = databases.postgres(amounts)
    if "writes" in kinds:
        urls["writes"] = stack.enter_context(databases.copied(amounts))
    return urls


def told(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def write(page: Path, section: str) -> None:
    """Replace the part of a page between the benchmark comments."""
    before, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}{section}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()

"""The benchmarks run: no figure is checked, for machines differ."""

import asyncio
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.load import by_hand
from tests.benchmarks.measuring import Cost
from tests.benchmarks.report import summary
from tests.benchmarks.wire import Request

ROOT = Path(__file__).parents[2]


def test_one_command_makes_the_data_measures_prints_and_draws(tmp_path):
    """Of little, on SQLite."""
    asked = ["--posts=50", "--rounds=1", "--seconds=1", "--warming=0", "--servers=gateway, SQLite", "--workloads=L"]
    command = [sys.executable, "-m", "tests.benchmarks", *asked, f"--picture={tmp_path}/picture.svg"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "**L**, a list of 20 posts" in done.stdout
    assert done.stdout.count("\n| gateway, SQLite | ") == 1
    drawn = {each.text for each in ElementTree.parse(tmp_path / "picture.svg").iter() if each.tag.endswith("text")}
    assert {"gateway, SQLite", "Requests per second and core, server and Postgres together"} <= drawn


def test_the_summary_has_a_row_for_each_server_and_the_fastest_come_first():
    cost = Cost(per_second=1, p50=1, p99=1, server=0.5, postgres=0.5)
    costs = {
        ("floor", "createPost"): cost,
        ("gateway", "createPost"): cost,
        ("gateway", "L"): cost,
        ("gateway, cached", "L"): cost._replace(postgres=0),
        ("gateway, two workers", "L"): cost,
    }
    assert summary(costs).splitlines() == [
        "| | list of 20 posts (L) | `createPost` |",
        "|---|---|---|",
        "| gateway, cached | 2,000 | |",
        "| **gateway** | 1,000 | 1,000 |",
        "| floor | | 1,000 |",
    ]


def test_load_can_be_made_without_a_load_generator(gateway_url):
    """Every request is answered, and counted once."""
    port = urlsplit(gateway_url).port
    requests = [Request("/api/health/live"), Request("/graphql", b'{"query": "{ __typename }"}')]
    load = asyncio.run(by_hand(port, [request.packet for request in requests], seconds=0, connections=4))
    assert (load.requests, load.failed) == (4, 0)
    refused = asyncio.run(by_hand(port, [Request("/nowhere").packet], seconds=0, connections=2))
    assert (refused.requests, refused.failed) == (2, 2)

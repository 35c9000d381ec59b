"""The example dashboard and alert rules: they load, and every series that they ask for is one that a server has."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.scraping import series_of
from tests.support.servers import serving

EXAMPLES = Path(__file__).parents[2] / "docs" / "observability"
DASHBOARD, RULES = EXAMPLES / "dashboard.json", EXAMPLES / "rules.yaml"
SERIES = re.compile(r"\b(?:dovetail|process)_\w+")
LABELS = re.compile(r"(?:by \(([^)]*)\))|(\w+)=~?\"")
OF_PROMETHEUS = {"job", "instance", "le"}


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


def labels(expression: str) -> set[str]:
    found = {name for listed, matched in LABELS.findall(expression) for name in (*listed.split(","), matched)}
    return {name.strip() for name in found} - {"", *OF_PROMETHEUS}


@pytest.fixture
async def metrics(sqlite_url: str, redis_url: str) -> str:
    async with serving(sqlite_url, redis_url=redis_url, rate_limit_api="1000/minute") as server:
        await server.anonymous.get("/api/posts/none")
        await server.anonymous.post("/graphql", json={"query": "query Kinds { __typename }"})
        return (await server.anonymous.get("/metrics")).text


async def test_every_series_and_label_that_they_name_is_there(metrics):
    there = series_of(metrics)
    assert {name for each in expressions() for name in SERIES.findall(each)} <= there
    told = set(re.findall(r"(\w+)=\"", metrics)) | {"kind", "status"}  # of streams and webhooks, which there were none
    assert {name for each in expressions() for name in labels(each)} <= told


def test_every_family_of_ours_is_on_the_dashboard(metrics):
    """What nobody looks at need not be told."""
    shown = " ".join(expressions())
    families = set(re.findall(r"# TYPE (dovetail_\w+?)(?:_total)? ", metrics))
    assert {name for name in families if name not in shown} <= {"dovetail_info", "dovetail_database_connections_in_use"}


def test_the_dashboard_is_one_that_grafana_imports():
    board = json.loads(DASHBOARD.read_text())
    assert (board["uid"], board["title"]) == ("dovetail", "Dovetail")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["title"] and panel["gridPos"] and panel["targets"] for panel in board["panels"])


def test_every_alert_says_whom_it_wakes_and_why():
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def promtool(*arguments: str, **options: Any) -> subprocess.CompletedProcess:
    command = shutil.which("promtool")
    if command is None:
        pytest.skip("needs promtool, of Debian's package prometheus")
    return subprocess.run([command, *arguments], capture_output=True, text=True, **options)


def test_prometheus_takes_the_rules():
    checked = promtool("check", "rules", str(RULES))
    assert checked.returncode == 0, checked.stderr


def test_prometheus_takes_the_metrics(metrics):
    checked = promtool("check", "metrics", input=metrics)
    assert checked.stderr == ""

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
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import prometheus
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.support.scraping import scrape, series_of
from tests.support.servers import serving

EXAMPLES = Path(__file__).parents[3] / "docs" / "observability"
DASHBOARD, RULES = EXAMPLES / "dashboard.json", EXAMPLES / "rules.yaml"
SERIES = re.compile(r"\b(?:dovetail|process)_\w+")
LABELS = re.compile(r"(?:by \(([^)]*)\))|(\w+)=~?\"")
PICKED, MATCHER = re.compile(r"\b(dovetail_\w+)\{([^}]*)\}"), re.compile(r"(\w+)=~?\"([^\"]*)\"")
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
    told = set(re.findall(r"(\w+)=\"", metrics)) | {"kind"}  # of streams, of which there were none
    assert {name for each in expressions() for name in labels(each)} <= told


async def test_every_series_that_an_alert_picks_is_there_before_it_counts(sqlite_url, redis_url):
    """One that began with the first failure would not rise, and nobody would hear of that failure."""
    async with serving(sqlite_url, redis_url=redis_url) as server:
        there = (await scrape(server.anonymous)).samples
    picked = {pick for rule in rules() for pick in PICKED.findall(rule["expr"])}
    assert {("dovetail_webhook_events_total", 'status="FAILED"')} <= picked
    for name, matchers in picked:
        found = [each.labels for each in there if each.name == name]
        for label, values in MATCHER.findall(matchers):
            assert set(values.split("|")) <= {each[label] for each in found}, name


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


def test_grafana_s_own_types_read_all_of_the_dashboard_and_lose_nothing():
    """They are made from Grafana's schemas: what they do not know is gone when they write it down again."""
    register_default_plugins()
    given = json.loads(DASHBOARD.read_text())
    board = Dashboard.from_json(given)
    assert lost(given, json.loads(JSONEncoder().encode(board))) == []
    queries = [query for panel in board.panels for query in panel.targets]
    assert {type(query) for query in queries} == {prometheus.Dataquery}
    assert sorted(query.expr for query in queries) == sorted(
        target["expr"] for panel in panels() for target in panel["targets"]
    )


def lost(given: Any, written: Any, place: str = "") -> list[str]:
    """Where something is missing, or is another, from what was written down again; types may add their defaults."""
    if isinstance(given, dict) and isinstance(written, dict):
        return [each for key in given for each in lost(given[key], written.get(key), f"{place}.{key}")]
    if isinstance(given, list) and isinstance(written, list) and len(given) == len(written):
        return [
            each for n, pair in enumerate(zip(given, written, strict=True)) for each in lost(*pair, f"{place}[{n}]")
        ]
    return [] if given == written else [place]


def test_every_reference_is_to_something_that_the_dashboard_has():
    """A datasource or a variable by another name would leave its panel empty, and Grafana would not complain."""
    board = json.loads(DASHBOARD.read_text())
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    theirs = [each["datasource"] for panel in board["panels"] for each in (panel, *panel["targets"])]
    theirs += [each["datasource"] for each in variables.values() if each["type"] == "query"]
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in theirs)
    asked = json.dumps([board["panels"], board["templating"]])
    assert set(re.findall(r"\$\{?(\w+)", asked)) <= {*variables, "__all", "__rate_interval", "__interval", "__range"}
    assert set(SERIES.findall(json.dumps(board["templating"]))) == {"dovetail_info"}


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


def test_prometheus_takes_what_the_dashboard_asks(tmp_path):
    """Its expressions as rules, which promtool can read, with what Grafana puts in for its variables."""
    asked = [
        target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*")
        for each in panels()
        for target in each["targets"]
    ]
    rules = [{"record": f"asked:{number}", "expr": each} for number, each in enumerate(asked)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert checked.returncode == 0, checked.stderr


def test_prometheus_takes_the_metrics(metrics):
    checked = promtool("check", "metrics", input=metrics)
    assert checked.stderr == ""

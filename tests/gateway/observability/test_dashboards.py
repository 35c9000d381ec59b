"""The example dashboard and alert rules load, and query only series that a server has."""

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
from tests.support.servers import open_server

EXAMPLES = Path(__file__).parents[3] / "docs" / "observability"
DASHBOARD, RULES = EXAMPLES / "dashboard.json", EXAMPLES / "rules.yaml"
SERIES = re.compile(r"\b(?:dovetail|process)_\w+")
LABELS = re.compile(r"(?:by \(([^)]*)\))|(\w+)=~?\"")
SELECTOR, MATCHER = re.compile(r"\b(dovetail_\w+)\{([^}]*)\}"), re.compile(r"(\w+)=~?\"([^\"]*)\"")
PROMETHEUS_LABELS = {"job", "instance", "le"}
UNSHOWN_METRICS = {"dovetail_info", "dovetail_database_connections_in_use"}


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    yield from (target["expr"] for panel in panels() for target in panel["targets"])
    yield from (rule["expr"] for rule in rules())


def label_names(expression: str) -> set[str]:
    found = {name for listed, matched in LABELS.findall(expression) for name in (*listed.split(","), matched)}
    return {name.strip() for name in found} - {"", *PROMETHEUS_LABELS}


@pytest.fixture
async def metrics(sqlite_url: str, redis_url: str) -> str:
    async with open_server(sqlite_url, redis_url=redis_url, rate_limit_api="1000/minute") as server:
        await server.anonymous.get("/api/posts/none")
        await server.anonymous.post("/graphql", json={"query": "query Kinds { __typename }"})
        return (await server.anonymous.get("/metrics")).text


async def test_a_server_has_every_series_and_label_that_the_expressions_name(metrics):
    series = series_of(metrics)
    assert {name for each in expressions() for name in SERIES.findall(each)} <= series
    labels = set(re.findall(r"(\w+)=\"", metrics)) | {"kind"}  # a label of streams, of which none has ended
    assert {name for each in expressions() for name in label_names(each)} <= labels


async def test_every_series_that_an_alert_selects_exists_from_the_start(sqlite_url, redis_url):
    """A series that starts with the first failure shows no increase, so the alert would miss that failure."""
    async with open_server(sqlite_url, redis_url=redis_url) as server:
        samples = (await scrape(server.anonymous)).samples
    selectors = {selector for rule in rules() for selector in SELECTOR.findall(rule["expr"])}
    assert {("dovetail_webhook_events_total", 'status="FAILED"')} <= selectors
    for name, matchers in selectors:
        found = [sample.labels for sample in samples if sample.name == name]
        for label, values in MATCHER.findall(matchers):
            assert set(values.split("|")) <= {labels[label] for labels in found}, name


def test_the_dashboard_shows_every_metric(metrics):
    shown = " ".join(expressions())
    families = set(re.findall(r"# TYPE (dovetail_\w+?)(?:_total)? ", metrics))
    assert {name for name in families if name not in shown} <= UNSHOWN_METRICS


def test_the_dashboard_has_the_parts_that_grafana_imports():
    board = json.loads(DASHBOARD.read_text())
    assert (board["uid"], board["title"]) == ("dovetail", "Dovetail")
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["title"] and panel["gridPos"] and panel["targets"] for panel in board["panels"])


def test_grafanas_types_parse_the_dashboard_without_loss():
    """They are generated from Grafana's schemas, and do not serialize fields that the schemas lack."""
    register_default_plugins()
    original = json.loads(DASHBOARD.read_text())
    board = Dashboard.from_json(original)
    assert find_differences(original, json.loads(JSONEncoder().encode(board))) == []
    queries = [query for panel in board.panels for query in panel.targets]
    assert {type(query) for query in queries} == {prometheus.Dataquery}
    assert sorted(query.expr for query in queries) == sorted(
        target["expr"] for panel in panels() for target in panel["targets"]
    )


def find_differences(original: Any, serialized: Any, path: str = "") -> list[str]:
    """Return the paths whose value is missing or different. Fields that were added, such as defaults, are ignored."""
    if isinstance(original, dict) and isinstance(serialized, dict):
        pairs = [(f"{path}.{key}", value, serialized.get(key)) for key, value in original.items()]
    elif isinstance(original, list) and isinstance(serialized, list) and len(original) == len(serialized):
        values = zip(original, serialized, strict=True)
        pairs = [(f"{path}[{index}]", one, other) for index, (one, other) in enumerate(values)]
    else:
        return [] if original == serialized else [path]
    return [difference for path, one, other in pairs for difference in find_differences(one, other, path)]


def test_the_dashboard_defines_every_datasource_and_variable_that_it_uses():
    """Grafana shows an empty panel for an unknown one, and no error."""
    board = json.loads(DASHBOARD.read_text())
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    datasources = [each["datasource"] for panel in board["panels"] for each in (panel, *panel["targets"])]
    datasources += [each["datasource"] for each in variables.values() if each["type"] == "query"]
    assert all(each == {"type": "prometheus", "uid": "${datasource}"} for each in datasources)
    text = json.dumps([board["panels"], board["templating"]])
    assert set(re.findall(r"\$\{?(\w+)", text)) <= {*variables, "__all", "__rate_interval", "__interval", "__range"}
    assert set(SERIES.findall(json.dumps(board["templating"]))) == {"dovetail_info"}


def test_every_alert_has_a_severity_and_a_summary():
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"]


def promtool(*arguments: str, **options: Any) -> subprocess.CompletedProcess:
    command = shutil.which("promtool")
    if command is None:
        pytest.skip("needs promtool, of Debian's package prometheus")
    return subprocess.run([command, *arguments], capture_output=True, text=True, **options)


def test_promtool_accepts_the_alert_rules():
    result = promtool("check", "rules", str(RULES))
    assert result.returncode == 0, result.stderr


def test_promtool_accepts_the_expressions_of_the_dashboard(tmp_path):
    """They are written as rules, which promtool can check, with values for Grafana's variables."""
    expressions = [
        target["expr"].replace("$__rate_interval", "1m").replace("$job", ".*")
        for panel in panels()
        for target in panel["targets"]
    ]
    rules = [{"record": f"dashboard:{number}", "expr": each} for number, each in enumerate(expressions)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    result = promtool("check", "rules", str(tmp_path / "rules.yaml"))
    assert result.returncode == 0, result.stderr


def test_promtool_accepts_the_metrics(metrics):
    result = promtool("check", "metrics", input=metrics)
    assert result.stderr == ""

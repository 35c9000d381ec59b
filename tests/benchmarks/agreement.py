"""Before anything is measured: every server answers the same data."""

import json
import re
from typing import Any

from tests.benchmarks.measuring import Plan
from tests.benchmarks.servers import Server, serving
from tests.benchmarks.workload import WORKLOADS

ASKED = 5
MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)?")

LEFT_OUT = {"uploads"}
"""What the gateway reads besides, and plain FastAPI does not."""


class Disagreement(Exception):
    """Servers that do not do the same work cannot be compared."""


def agree(plan: Plan) -> None:
    """Each is asked the first questions of each of its workloads; the first to answer says what the others should."""
    expected: dict[tuple[str, str], tuple[str, list[Any]]] = {}
    for contender in plan.contenders:
        with serving(contender, plan.urls[contender.database], plan.programs) as server:
            for workload in plan.workloads(contender):
                told = answers(server, workload, plan.posts[contender.database])
                name, first = expected.setdefault((contender.database, workload), (contender.name, told))
                if told != first:
                    raise Disagreement(f"{workload}: {contender.name} says\n{told}\nbut {name}\n{first}")


def answers(server: Server, workload: str, posts: list[str]) -> list[Any]:
    """Without what differs by nature: the name of what was just made, and its time."""
    requests = WORKLOADS[workload][1](server, posts)[:ASKED]
    if workload == "304":
        return []
    told = [json.load(server.ask(request)) for request in requests]
    if wrong := [answer for answer in told if "errors" in answer or "error" in answer]:
        raise Disagreement(f"{workload}: {server.contender.name} says {wrong[0]}")
    if workload == "createPost":
        return [sorted(answer["data"].get("createPost", answer["data"])) for answer in told]
    return alike(told)


def alike(value: Any) -> Any:
    """Times in milliseconds, which is as exact as JavaScript has them; tags in one shape and order."""
    if isinstance(value, dict):
        shown = {name: alike(each) for name, each in value.items() if name not in LEFT_OUT}
        return {**shown, "tags": labels(shown["tags"])} if "tags" in shown else shown
    if isinstance(value, list):
        return [alike(each) for each in value]
    if isinstance(value, str) and (found := MOMENT.fullmatch(value)):
        return f"{found[1]}.{(found[2] or '')[:3]:0<3}"
    return value


def labels(tags: Any) -> list[dict[str, str]]:
    listed = [each["tag"] for each in tags["nodes"]] if isinstance(tags, dict) else tags
    return sorted(listed, key=lambda tag: tag["name"])

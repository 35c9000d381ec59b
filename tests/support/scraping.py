"""What `/metrics` says, as Prometheus would read it."""

from collections.abc import Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    """One answer of `/metrics`."""

    def __init__(self, text: str) -> None:
        self.samples = [each for family in text_string_to_metric_families(text) for each in family.samples]

    @property
    def names(self) -> set[str]:
        return {each.name for each in self.samples}

    def value(self, name: str, /, **labels: str) -> float:
        """The sum of the series of that name and those labels, our own prefix left out."""
        found = [each for each in self.samples if each.name == f"dovetail_{name}" and has(each.labels, labels)]
        return sum(each.value for each in found)

    def by(self, label: str, name: str) -> dict[str, float]:
        """Each value of a label that has been counted, with the sum of its series."""
        values = {each.labels[label] for each in self.samples if each.name == f"dovetail_{name}"}
        sums = {value: self.value(name, **{label: value}) for value in values}
        return {value: total for value, total in sums.items() if total}


def has(labels: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())


async def scrape(http: httpx.AsyncClient, **headers: str) -> Scrape:
    response = await http.get("/metrics", headers=headers)
    assert response.status_code == 200, response.text
    return Scrape(response.text)


def series_of(text: str) -> set[str]:
    """The names of all series that there may be, those that have no sample yet among them."""
    suffixes = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}
    kinds = [line.split()[2:] for line in text.splitlines() if line.startswith("# TYPE ")]
    return {name + suffix for name, kind in kinds for suffix in suffixes[kind]}

"""What is installed is what `pyproject.toml` asks for: pinned, hashed, and from wherever pip is told to look."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

ASKED = {
    "requirements.txt": PROJECT["project"]["dependencies"],
    "requirements-test.txt": PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"],
    "requirements-chat.txt": PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["chat"],
    "requirements-build.txt": PROJECT["dependency-groups"]["build"],
}


def pins(file: str) -> list[Requirement]:
    text = (ROOT / file).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert all("--hash=sha256:" in line for line in lines)
    return [Requirement(line.partition(" --hash")[0].strip()) for line in lines]


@pytest.mark.parametrize("file", ASKED)
def test_every_package_that_is_asked_for_is_pinned_within_its_bounds(file):
    pinned = {}
    for pin in pins(file):
        pinned.setdefault(canonicalize_name(pin.name), []).append(str(pin.specifier).removeprefix("=="))
    for request in map(Requirement, ASKED[file]):
        versions = pinned[canonicalize_name(request.name)]
        assert all(request.specifier.contains(version, prereleases=True) for version in versions), request


@pytest.mark.parametrize("file", ASKED)
def test_no_file_says_where_packages_come_from(file):
    assert re.findall(r"://|--index-url|--find-links|--extra-index-url| @ ", (ROOT / file).read_text()) == []


def test_the_files_agree():
    """Installed one after another, they must not undo each other."""
    versions = {}
    for file in ASKED:
        for pin in pins(file):
            versions.setdefault((canonicalize_name(pin.name), str(pin.marker)), set()).add(str(pin.specifier))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}

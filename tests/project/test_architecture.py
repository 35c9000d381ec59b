"""The house keeps its shape: rooms in one order, names that say something, reasons beside what is let pass."""

import io
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["gateway", "schema", "resolvers", "models"]
BANNED = re.compile(r"(^|_)(utils?|helpers?|managers?|services?)(_|$)")
IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b(?P<rest>.*)")
REASON = re.compile(r"[A-Z]+\d+(?:,\s*[A-Z]+\d+)*\W+\w\S* \S+")
"""A rule's code, and a few words."""


def database_factory(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_imports_go_one_way():
    """gateway → schema → resolvers → models; REST knows no schema, operations know neither protocol.

    In a process of its own: it disables the loggers of the one that it runs in, for all tests that come after.
    """
    linting = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    lint = subprocess.run(
        linting, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_all_rooms_stand_under_the_contracts():
    """Each room is named in the order, and shipped; the tests are not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert project["importlinter"]["root_packages"] == ROOMS
    assert project["importlinter"]["contracts"][0]["layers"] == ROOMS
    assert sorted(project["hatch"]["build"]["targets"]["wheel"]["packages"]) == sorted(ROOMS)


def test_every_module_of_gateway_has_a_layer():
    """The contract has no exceptions, and nothing in gateway stands outside it."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["gateway"]]
    placed = {layer for line in layers for layer in line.split(" | ")}
    gateway = ROOT / "gateway"
    names = {path.stem for path in gateway.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    names |= {f"observability.{path.stem}" for path in (gateway / "observability").iterdir() if path.name[0] != "_"}
    assert placed == names - {"__init__", "observability"}
    assert not any("ignore_imports" in contract for contract in contracts)


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_no_module_is_named_for_nothing(room):
    """`utils`, `helpers`, `manager` and `service` say nothing of what is inside."""
    named = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / room).rglob("*.py")}
    assert not [str(path) for path in named if any(BANNED.search(part) for part in path.parts[1:])]


def test_each_ignore_has_its_reason_beside_it():
    """What a linter is told to let pass is said together with why."""
    ignores = [
        (f"{path.relative_to(ROOT)}:{line}", found["rest"])
        for path in database_factory(*ROOMS, "tests")
        for line, comment in comments(path)
        for found in [IGNORE.search(comment)]
        if found
    ]
    bare = [(place, rest) for place, rest in ignores if not REASON.search(rest)]
    assert bare == []


def test_each_rule_that_is_switched_off_has_its_reason_beside_it():
    """In pyproject.toml as well."""
    lines = (ROOT / "pyproject.toml").read_text().partition("[tool.ruff.lint]")[2].partition("[tool.importlinter]")[0]
    ignored = [line for line in lines.splitlines() if re.match(r'\s*"?(tests/|[A-Z]+\d+)', line)]
    assert ignored
    assert [line for line in ignored if not re.search(r"# \S+ \S+", line)] == []


def test_every_module_of_the_tests_says_what_it_holds():
    """In a docstring; one that holds nothing need not."""
    silent = [path for path in database_factory("tests") if (text := path.read_text()) and not text.startswith('"""')]
    assert [str(path.relative_to(ROOT)) for path in silent] == []


def test_nothing_that_is_shipped_remembers_where_it_was_built():
    """No path of anybody's machine, and no address that packages were fetched from."""
    places = re.compile(r"/(home|root|Users|work)/\w|https?://(pypi|files\.pythonhosted|registry\.npmjs)\S*")
    kinds = {".py", ".toml", ".txt", ".md", ".yaml", ".yml", ".json", ".graphql", ".ini", ".mako", ""}
    folders = [*ROOMS, "tests"]
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in kinds
    ]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in kinds and path.name != ".git"]
    remembered = {
        str(path.relative_to(ROOT)): found[0]
        for path in files
        if "node_modules" not in path.parts and path != Path(__file__) and path.name != "README.md"
        for found in [places.search(path.read_text(errors="ignore"))]
        if found
    }
    assert remembered == {}

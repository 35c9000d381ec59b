"""The structure of the code: one direction of imports, meaningful module names, a reason for each linter exception."""

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
PACKAGES = ["gateway", "schema", "resolvers", "models"]
BANNED = re.compile(r"(^|_)(utils?|helpers?|managers?|services?)(_|$)")
IGNORE = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b(?P<rest>.*)")
REASON = re.compile(r"[A-Z]+\d+(?:,\s*[A-Z]+\d+)*\W+\w\S* \S+")
"""The code of a rule, and at least two words."""


def python_files(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_imports_go_one_way():
    """Runs import-linter in a process of its own, because it disables the loggers of its process."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_contract_and_the_wheel_contain_the_four_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert project["importlinter"]["root_packages"] == PACKAGES
    assert project["importlinter"]["contracts"][0]["layers"] == PACKAGES
    assert sorted(project["hatch"]["build"]["targets"]["wheel"]["packages"]) == sorted(PACKAGES)


def test_every_module_of_gateway_has_a_layer():
    """The contract covers all of gateway, and has no exceptions."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == ["gateway"]]
    placed = {layer for line in layers for layer in line.split(" | ")}
    gateway = ROOT / "gateway"
    names = {path.stem for path in gateway.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    names |= {f"observability.{path.stem}" for path in (gateway / "observability").iterdir() if path.name[0] != "_"}
    assert placed == names - {"__init__", "observability"}
    assert not any("ignore_imports" in contract for contract in contracts)


@pytest.mark.parametrize("package", [*PACKAGES, "tests"])
def test_module_names_are_meaningful(package):
    """`utils`, `helpers`, `manager` and `service` do not tell what a module contains."""
    modules = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py")}
    assert not [str(path) for path in modules if any(BANNED.search(part) for part in path.parts[1:])]


def test_each_ignore_comment_has_a_reason():
    ignores = [
        (f"{path.relative_to(ROOT)}:{line}", match["rest"])
        for path in python_files(*PACKAGES, "tests")
        for line, comment in comments(path)
        for match in [IGNORE.search(comment)]
        if match
    ]
    assert [(place, rest) for place, rest in ignores if not REASON.search(rest)] == []


def test_each_disabled_rule_has_a_reason():
    """Checks the rules that pyproject.toml disables."""
    lines = (ROOT / "pyproject.toml").read_text().partition("[tool.ruff.lint]")[2].partition("[tool.importlinter]")[0]
    ignored = [line for line in lines.splitlines() if re.match(r'\s*"?(tests/|[A-Z]+\d+)', line)]
    assert ignored
    assert [line for line in ignored if not re.search(r"# \S+ \S+", line)] == []


def test_every_test_module_has_a_docstring():
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in python_files("tests")}
    assert [name for name, text in texts.items() if text and not text.startswith('"""')] == []


def test_no_file_names_a_path_of_a_machine_or_a_download_address():
    pattern = re.compile(r"/(home|root|Users|work)/\w|https?://(pypi|files\.pythonhosted|registry\.npmjs)\S*")
    suffixes = {".py", ".toml", ".txt", ".md", ".yaml", ".yml", ".json", ".graphql", ".ini", ".mako", ""}
    folders = [*PACKAGES, "tests"]
    files = [
        path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in suffixes
    ]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in suffixes and path.name != ".git"]
    matches = {
        str(path.relative_to(ROOT)): match[0]
        for path in files
        if "node_modules" not in path.parts and path != Path(__file__) and path.name != "README.md"
        for match in [pattern.search(path.read_text(errors="ignore"))]
        if match
    }
    assert matches == {}

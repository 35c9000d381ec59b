"""The page `docs/adding-an-entity.md` works as it stands: its files, edits and examples, on both databases."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import DATABASES
from tests.project.shell_examples import find_examples, run_examples
from tests.support.processes import start_gateway

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-an-entity.md").read_text()
RUN_QUERIES = Path(__file__).with_name("run_queries.py")
CODE_BLOCK = re.compile(r"(?:<!-- (\w+): (\S+) -->\n)?```(\w+)([^\n]*)\n(.*?)```", re.DOTALL)


def changes() -> Iterator[tuple[str, str, str]]:
    """The path, language and text of each file and edit. An edit without a path belongs to the file before it."""
    path = ""
    for _, new_path, language, _, text in CODE_BLOCK.findall(PAGE):
        path = new_path or path
        if language in ("python", "diff"):
            yield path, language, text


def apply_page(root: Path) -> None:
    for path, language, text in changes():
        file = root / path
        file.write_text(text if language == "python" else apply_diff(file.read_text(), text))


def apply_diff(source: str, diff: str) -> str:
    """Apply a diff without line numbers, whose old lines occur once in the source."""
    old = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " -")
    new = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " +")
    assert source.count(old) == 1, old
    return source.replace(old, new)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with the page applied, and its migration created."""
    root = tmp_path_factory.mktemp("project")
    for package in ("gateway", "models", "resolvers", "schema"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "build"))
    (root / "tests" / "schema").mkdir(parents=True)
    for file in ("pyproject.toml", "tests/schema/test_schema.py", "tests/schema/contract.graphql"):
        shutil.copy(ROOT / file, root / file)
    apply_page(root)
    run_module(root, "models.migrations", "Add bookmarks")
    run_module(root, "ruff", "check", "--fix", "--quiet", "models")
    run_module(root, "ruff", "format", "--quiet", "models")
    return root


def run_module(root: Path, *command: str) -> str:
    """Run a Python module on the copy and return its output."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    completed = subprocess.run(
        [sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_graphql_examples_return_what_the_page_shows(
    project: Path, dialect: str, unused_database: Callable[[str], Awaitable[str]]
) -> None:
    examples = re.findall(r"```graphql([^\n]*)\n(.*?)```\n```json\n(.*?)```", PAGE, re.DOTALL)
    queries = [{"source": source, "viewer": viewer.strip()} for viewer, source, _ in examples]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        RUN_QUERIES,
        await unused_database(dialect),
        cwd=project,
        env={"PYTHONPATH": str(project), "PATH": ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(queries).encode())
    assert len(queries) == PAGE.count("```graphql")
    assert json.loads(output) == [json.loads(result) for _, _, result in examples]


def test_the_rest_examples_return_what_the_page_shows(project: Path, tmp_path: Path) -> None:
    database_url = f"sqlite+aiosqlite:///{tmp_path}/bookmarks.db"
    with start_gateway("--demo", folder=tmp_path, database_url=database_url, code=project) as (_, address, log):
        assert run_examples(find_examples(PAGE, "run"), address, tmp_path) == []
        assert "Traceback" not in log.read_text()


def test_the_openapi_document_describes_the_new_endpoints(project: Path) -> None:
    document = json.loads(run_module(project, "gateway", "openapi"))
    assert {path for path in document["paths"] if "bookmarks" in path} == {"/api/bookmarks", "/api/bookmarks/{id}"}
    schemas = document["components"]["schemas"]
    for name in ("Bookmark", "BookmarkPage", "CreateBookmark"):
        assert schemas[name]["description"]
        assert all("description" in field for field in schemas[name]["properties"].values())


def test_the_page_satisfies_the_linters(project: Path) -> None:
    run_module(project, "ruff", "check", "--no-cache")
    run_module(project, "ruff", "format", "--check", "--no-cache")


def test_the_page_satisfies_the_import_contracts(project: Path) -> None:
    lint_imports = Path(sys.executable).with_name("lint-imports")
    completed = subprocess.run(
        [lint_imports, "--no-cache"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stdout


def test_the_page_satisfies_the_tests_of_the_schema(project: Path) -> None:
    """The schema is committed, described, and keeps its promises."""
    (project / "schema" / "schema.graphql").write_text(run_module(project, "gateway", "schema"))
    run_module(project, "pytest", "tests/schema/test_schema.py")

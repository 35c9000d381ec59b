"""The walk in `docs/adding-an-entity.md` does what it says, on either database, and leaves nothing to mend."""

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

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding-an-entity.md").read_text()
WALK = Path(__file__).with_name("walk.py")
BLOCK = re.compile(r"(?:<!-- (\w+): (\S+) -->\n)?```(\w+)([^\n]*)\n(.*?)```", re.DOTALL)


def blocks(*languages: str) -> Iterator[tuple[str, str, str]]:
    """The file or the viewer that each block names, its language and its text; a block goes on with the last file."""
    place = ""
    for _, named, language, said, text in BLOCK.findall(PAGE):
        place = named or place
        if language in languages:
            yield (said.strip() if language == "graphql" else place), language, text


def apply(root: Path) -> None:
    """Write the files, and change the lines, that the page shows."""
    for place, language, text in blocks("python", "diff"):
        path = root / place
        if language == "python":
            path.write_text(text)
        else:
            path.write_text(changed(path.read_text(), text))


def changed(source: str, diff: str) -> str:
    """Puts the lines after `+` where those of the diff that are there already stand."""
    there = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " -")
    after = "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] in " +")
    assert source.count(there) == 1, there
    return source.replace(there, after)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("walked")
    for package in ("gateway", "models", "resolvers", "schema"):
        shutil.copytree(ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "pages"))
    (root / "tests" / "engine").mkdir(parents=True)
    for file in ("pyproject.toml", "tests/engine/test_schema.py", "tests/engine/contract.graphql"):
        shutil.copy(ROOT / file, root / file)
    apply(root)
    return root


def ran(root: Path, *command: str) -> str:
    """What a module of Python says, over the copy. It must end well."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    ended = subprocess.run([sys.executable, "-m", *command], cwd=root, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("dialect", DATABASES)
async def test_the_page_does_what_it_says(
    walked: Path, dialect: str, unused_database: Callable[[str], Awaitable[str]]
) -> None:
    """Its files, run by a process of their own, give the answers that it shows."""
    questions = [{"source": text, "viewer": viewer} for viewer, _, text in blocks("graphql")]
    expected = [json.loads(text) for _, _, text in blocks("json")]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        WALK,
        await unused_database(dialect),
        cwd=walked,
        env={"PYTHONPATH": str(walked), "PATH": ""},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate(json.dumps(questions).encode())
    assert json.loads(told) == expected


def test_the_page_leaves_nothing_for_the_linter(walked: Path) -> None:
    """Not in what `make migration` writes, either, which it looks over by itself."""
    ran(walked, "models.migrations", "Add bookmarks")
    ran(walked, "ruff", "check", "--fix", "--quiet", "models")
    ran(walked, "ruff", "format", "--quiet", "models")
    ran(walked, "ruff", "check", "--no-cache")
    ran(walked, "ruff", "format", "--check", "--no-cache")


def test_the_page_leaves_the_schema_whole(walked: Path) -> None:
    """It is committed, described, and keeps what it promised."""
    (walked / "schema" / "schema.graphql").write_text(ran(walked, "gateway", "schema"))
    ran(walked, "pytest", "tests/engine/test_schema.py")

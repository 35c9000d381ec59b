"""A TypeScript client, generated from the committed schema, compiles and talks to the server as it is served.

Runs where Node is. The packages that generate and compile it are pinned in `typescript/package-lock.json`, and kept
between runs in the user's cache folder.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "typescript"
SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dovetail-tests"
MINUTES = 60


def run(*command: str, folder: Path, seconds: int = 2 * MINUTES) -> str:
    """What a command printed; one that fails fails the test with all that it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def packages() -> Path:
    """The folder of Node packages, installed once for each state of the lock file."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs Node and npm to generate and compile a TypeScript client")
    wanted = CACHE / hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    if not wanted.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        install(wanted)
    return wanted / "node_modules"


def install(wanted: Path) -> None:
    """Beside its place first, so that a run that is cut off, or another at the same time, leaves no half of it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        fresh = Path(name) / "packages"
        fresh.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(HERE / file, fresh)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=3 * MINUTES, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("needs npm's registry, which did not answer in time")
        if done.returncode != 0:
            pytest.skip(f"needs npm's registry: {done.stderr.strip()[:300]}")
        if not wanted.exists():
            fresh.rename(wanted)


@pytest.fixture(scope="module")
def compiled(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, generated and compiled."""
    folder = tmp_path_factory.mktemp("typescript")
    for file in ("client.ts", "codegen.json", "package.json", "tsconfig.json"):
        shutil.copy(HERE / file, folder)
    shutil.copy(SCHEMA, folder)
    (folder / "node_modules").symlink_to(packages, target_is_directory=True)
    run("node", "node_modules/@graphql-codegen/cli/cjs/bin.js", "--config", "codegen.json", folder=folder)
    run("node", "node_modules/typescript/bin/tsc", "--project", "tsconfig.json", folder=folder)
    return folder


def test_a_client_generated_from_the_schema_compiles_and_is_answered(compiled, live_server):
    """Strictly typed; it registers, writes, publishes and searches."""
    email = f"{uuid.uuid4().hex}@example.com"
    said = json.loads(run("node", "built/client.js", live_server, email, folder=compiled))
    assert said == {
        "user": {"name": "Tess Typed", "role": "USER"},
        "before": "DRAFT",
        "after": "PUBLISHED",
        "dated": True,
        "tags": ["typescript"],
        "posts": {
            "nodes": [
                {
                    "title": "Typed from end to end",
                    "author": {"name": "Tess Typed"},
                    "category": None,
                    "viewerHasLiked": False,
                }
            ],
            "pageInfo": {"hasNextPage": False},
            "totalCount": 1,
        },
    }


def test_mistakes_in_a_client_do_not_compile(compiled):
    """Types come from the schema: an unexpected null is an error, and so is an enum value that is not there."""
    text = (compiled / "client.ts").read_text()
    mistakes = {"publishPost.publishedAt ?? null": "publishPost.publishedAt.length", '"NEWEST"': '"NEWER"'}
    for right, wrong in mistakes.items():
        assert right in text
        text = text.replace(right, wrong)
    (compiled / "wrong.ts").write_text(text)
    command = ["node", "node_modules/typescript/bin/tsc", "--noEmit", "--project", "wrong.json"]
    (compiled / "wrong.json").write_text('{"extends": "./tsconfig.json", "files": ["wrong.ts"]}')
    done = subprocess.run(command, cwd=compiled, capture_output=True, text=True, timeout=2 * MINUTES, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("wrong.ts")]
    assert any("possibly 'null'" in line for line in said), done.stdout
    assert any('"NEWER"' in line for line in said), done.stdout

"""A TypeScript client, generated from the committed schema, compiles and talks to the server as it is served.

Runs where Node is. The packages that generate and compile it are pinned in `typescript/package-lock.json`.
"""

import json
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.clients.packages import MINUTES, packages

HERE = Path(__file__).parent / "typescript"
SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"


def run(*command: str, folder: Path, seconds: int = 5 * MINUTES) -> str:
    """What a command printed; one that fails fails the test with all that it said."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client, generated and compiled."""
    installed = packages(HERE)
    folder = tmp_path_factory.mktemp("typescript")
    for file in ("client.ts", "codegen.json", "package.json", "tsconfig.json"):
        shutil.copy(HERE / file, folder)
    shutil.copy(SCHEMA, folder)
    (folder / "node_modules").symlink_to(installed, target_is_directory=True)
    run("node", "node_modules/@graphql-codegen/cli/cjs/bin.js", "--config", "codegen.json", folder=folder)
    run("node", "node_modules/typescript/bin/tsc", "--project", "tsconfig.json", folder=folder)
    return folder


def test_a_client_generated_from_the_schema_compiles_and_is_answered(compiled, gateway_url):
    """Strictly typed; it registers, writes, publishes and searches."""
    email = f"{uuid.uuid4().hex}@example.com"
    output = json.loads(run("node", "built/client.js", gateway_url, email, folder=compiled))
    assert output == {
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
    done = subprocess.run(command, cwd=compiled, capture_output=True, text=True, timeout=5 * MINUTES, check=False)
    output = [line for line in done.stdout.splitlines() if line.startswith("wrong.ts")]
    assert any("possibly 'null'" in line for line in output), done.stdout
    assert any('"NEWER"' in line for line in output), done.stdout

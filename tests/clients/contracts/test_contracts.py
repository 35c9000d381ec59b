"""A change that breaks clients of the last release must be listed in the changelog."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.packages import packages
from tests.clients.test_typescript import run
from tests.support.servers import build_environment

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[3]
RELEASED = ROOT / "docs" / "released"

Change = tuple[str, str]
"""The location of a change in a contract, and its message."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed, folder = packages(HERE), tmp_path_factory.mktemp("contracts")
    for file in ("breaking.js", "package.json"):
        shutil.copy(HERE / file, folder)
    (folder / "node_modules").symlink_to(installed, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the contracts of this version."""
    folder = tmp_path_factory.mktemp("current")
    for command, file in (("schema", "schema.graphql"), ("openapi", "openapi.json")):
        (folder / file).write_text(print_contract(command, folder))
    return folder


def print_contract(command: str, folder: Path) -> str:
    arguments = [sys.executable, "-c", "from gateway.cli import app; app()", command]
    environment = build_environment(f"sqlite+aiosqlite:///{folder}/none.db")
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


def find_breaking_changes(folder: Path, old: Path, new: Path) -> list[Change]:
    changes = json.loads(run("node", "breaking.js", str(old), str(new), folder=folder))
    return [(location, message) for location, message in changes]


def parse_breaking(changelog: str) -> set[str]:
    """Return the locations under "Breaking" in the newest section."""
    newest = changelog.split("\n## ")[1]
    breaking = re.search(r"^### Breaking\n(.*?)(?=^### |\Z)", newest, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", breaking[1])) if breaking else set()


def test_breaking_changes_are_listed_in_the_changelog(folder: Path, current: Path):
    """If this fails, list the change in CHANGELOG.md; for a release, run `make release-contract`."""
    listed = parse_breaking((ROOT / "CHANGELOG.md").read_text())
    changes = find_breaking_changes(folder, RELEASED, current)
    assert [change for change in changes if change[0] not in listed] == []


def test_breaking_changes_are_found_in_both_contracts(folder: Path, tmp_path: Path):
    """Removed fields and operations, and new required arguments and parameters. Additions break no client."""
    sdl = (RELEASED / "schema.graphql").read_text()
    changed = sdl.replace("  likePost(", "  likePost(required: Int!, ")
    changed = changed.replace("  viewerHasLiked: Boolean!", "  isLiked: Boolean!")
    (tmp_path / "schema.graphql").write_text(changed)
    document = json.loads((RELEASED / "openapi.json").read_text())
    del document["paths"]["/api/health/live"]
    required = {"name": "required", "in": "query", "required": True, "schema": {"type": "string"}}
    document["paths"]["/api/posts"]["get"]["parameters"].append(required)
    document["paths"]["/api/added"] = document["paths"]["/api/health"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    locations = {location for location, _ in find_breaking_changes(folder, RELEASED, tmp_path)}
    assert locations == {"Post.viewerHasLiked", "Mutation.likePost.required", "GET /api/health/live", "GET /api/posts"}


def test_only_the_newest_section_of_the_changelog_counts():
    changelog = """# Changelog
## Unreleased
### Added
- `Post.added`
### Breaking
- `Post.excerpt` is gone, and so is
  `GET /api/posts`.
### Fixed
- `Post.fixed`

## 0.1.0
### Breaking
- `Post.older`
"""
    assert parse_breaking(changelog) == {"Post.excerpt", "GET /api/posts"}
    assert parse_breaking(changelog.replace("### Breaking", "### Changed")) == set()

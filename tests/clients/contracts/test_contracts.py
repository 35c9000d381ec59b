"""What breaks clients of the last release is named in the changelog, by its place, or does not happen."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.packages import packages
from tests.clients.test_typescript import run
from tests.support.servers import environment_for

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[3]
RELEASED = ROOT / "docs" / "released"

Change = tuple[str, str]
"""A place in a contract, and what happened there."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed, folder = packages(HERE), tmp_path_factory.mktemp("contracts")
    for file in ("breaking.js", "package.json"):
        shutil.copy(HERE / file, folder)
    (folder / "node_modules").symlink_to(installed, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def current(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This version's contracts."""
    folder = tmp_path_factory.mktemp("current")
    for command, file in (("schema", "schema.graphql"), ("openapi", "openapi.json")):
        (folder / file).write_text(printed(command, folder))
    return folder


def printed(command: str, folder: Path) -> str:
    ran = [sys.executable, "-c", "from gateway.cli import app; app()", command]
    environment = environment_for(f"sqlite+aiosqlite:///{folder}/none.db")
    return subprocess.run(ran, env=environment, capture_output=True, text=True, check=True, timeout=300).stdout


def breaking(folder: Path, old: Path, new: Path) -> list[Change]:
    return [(place, what) for place, what in json.loads(run("node", "breaking.js", str(old), str(new), folder=folder))]


def named(changelog: str) -> set[str]:
    """The places that the newest section has under "Breaking"."""
    newest = changelog.split("\n## ")[1]
    under = re.search(r"^### Breaking\n(.*?)(?=^### |\Z)", newest, re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`]+)`", under[1])) if under else set()


def test_what_breaks_clients_of_the_last_release_is_named(folder: Path, current: Path):
    """Else name it in CHANGELOG.md; or, where that is a release, `make release-contract`."""
    places = named((ROOT / "CHANGELOG.md").read_text())
    assert [change for change in breaking(folder, RELEASED, current) if change[0] not in places] == []


def test_what_would_break_is_found_in_both_contracts(folder: Path, tmp_path: Path):
    """A field or an operation that is gone, an argument or a parameter that is needed now; additions break nobody."""
    sdl = (RELEASED / "schema.graphql").read_text()
    changed = sdl.replace("  likePost(", "  likePost(how: Int!, ")
    changed = changed.replace("  viewerHasLiked: Boolean!", "  isLiked: Boolean!")
    (tmp_path / "schema.graphql").write_text(changed)
    document = json.loads((RELEASED / "openapi.json").read_text())
    del document["paths"]["/api/health/live"]
    needed = {"name": "needed", "in": "query", "required": True, "schema": {"type": "string"}}
    document["paths"]["/api/posts"]["get"]["parameters"].append(needed)
    document["paths"]["/api/added"] = document["paths"]["/api/health"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    places = {place for place, _ in breaking(folder, RELEASED, tmp_path)}
    assert places == {"Post.viewerHasLiked", "Mutation.likePost.how", "GET /api/health/live", "GET /api/posts"}


def test_a_place_is_named_in_the_newest_section_alone():
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
    assert named(changelog) == {"Post.excerpt", "GET /api/posts"}
    assert named(changelog.replace("### Breaking", "### Changed")) == set()

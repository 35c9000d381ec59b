"""What is shipped is the four rooms, whole, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.servers import build_environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> ZipFile:
    pytest.importorskip("hatchling", reason="needs hatchling, which `make` installs")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_the_four_rooms(wheel):
    rooms = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert rooms == {"gateway", "models", "resolvers", "schema"}


def test_whatever_is_not_a_module_is_there_too(wheel):
    shipped = set(wheel.namelist())
    for pattern in (
        "gateway/seeding/themes.toml",
        "models/migrations/*.mako",
        "models/migrations/versions/*.py",
        "schema/schema.graphql",
    ):
        assert {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)} <= shipped
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "gateway/pages/static").iterdir()}
    assert pages
    assert pages <= shipped


def test_what_is_shipped_migrates(wheel, tmp_path):
    """From a folder of its own, with no checkout around it."""
    wheel.extractall(tmp_path / "site")
    environment = build_environment(f"sqlite+aiosqlite:///{tmp_path}/new.db", PYTHONPATH=str(tmp_path / "site"))
    where = "import models.migrations as it; print(it.__file__); from gateway.cli import app; app(['migrate'])"
    ran = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    first, *_, last = ran.stdout.splitlines()
    assert (first, last) == (f"{tmp_path}{os.sep}site/models/migrations/__init__.py", "The database is up to date")

"""Node packages that tests run, pinned in a lock file and kept between runs in the user's cache folder."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dovetail-tests"
MINUTES = 60


def packages(wanted_by: Path) -> Path:
    """The `node_modules` of a folder that has a `package-lock.json`, installed once for each state of that file."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs Node and npm to run clients that others wrote")
    lock = (wanted_by / "package-lock.json").read_bytes()
    wanted = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    if not wanted.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        install(wanted_by, wanted)
    return wanted / "node_modules"


def install(wanted_by: Path, wanted: Path) -> None:
    """Beside its place first, so that a run that is cut off, or another at the same time, leaves no half of it."""
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        fresh = Path(name) / "packages"
        fresh.mkdir()
        for file in ("package.json", "package-lock.json", ".npmrc"):
            if (wanted_by / file).exists():
                shutil.copy(wanted_by / file, fresh)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        try:
            done = subprocess.run(command, cwd=fresh, capture_output=True, text=True, timeout=3 * MINUTES, check=False)
        except subprocess.TimeoutExpired:
            pytest.skip("needs npm's registry, which did not answer in time")
        if done.returncode != 0:
            pytest.skip(f"needs npm's registry: {done.stderr.strip()[:300]}")
        if not wanted.exists():
            fresh.rename(wanted)

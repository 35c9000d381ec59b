"""The rivals that run on Node: their packages, pinned in `rivals/package-lock.json`, and their programs beside them."""

import shutil
from pathlib import Path

import pytest

from tests.clients.packages import packages

HERE = Path(__file__).parent / "rivals"


class Missing(Exception):
    """No Node, or no registry that answers."""


def installed(folder: Path) -> Path:
    """A folder in which they can be started."""
    try:
        modules = packages(HERE)
    except pytest.skip.Exception as reason:
        raise Missing(str(reason)) from None
    for program in HERE.glob("*.js*"):
        shutil.copy(program, folder)
    (folder / "node_modules").symlink_to(modules, target_is_directory=True)
    return folder

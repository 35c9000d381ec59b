"""What tests of askers ask for.

askers        the folder that their scripts run in: with its packages, or the test is skipped
"""

import shutil
from pathlib import Path

import pytest

from tests.clients.packages import packages

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def askers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed, folder = packages(HERE), tmp_path_factory.mktemp("askers")
    shutil.copytree(HERE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "node_modules").symlink_to(installed, target_is_directory=True)
    return folder

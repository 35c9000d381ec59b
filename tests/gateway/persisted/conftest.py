"""What tests of persisted documents ask for.

gateway       `await gateway("documents", "list")`: a command, on the test's database; its exit code and what it said
trust         `await trust({"id": "{ __typename }"})`: have documents trusted, as an operator would
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from tests.support.servers import build_environment


@pytest.fixture
def gateway(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[Result]]:
    for name, value in build_environment(database_url).items():
        monkeypatch.setenv(name, value)

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, arguments)

    return run


@pytest.fixture
def trust(gateway, tmp_path: Path) -> Callable[[dict[str, str]], Awaitable[None]]:
    async def add(documents: dict[str, str]) -> None:
        manifest = tmp_path / "manifest.json"
        manifest.write_text(json.dumps(documents))
        added = await gateway("documents", "add", str(manifest))
        assert added.exit_code == 0, added.output

    return add

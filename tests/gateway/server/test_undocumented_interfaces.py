"""The undocumented interfaces of uvicorn and websockets that gateway/server uses: pinned, and as expected."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process
from websockets import http11

ROOT = Path(__file__).parents[3]


def create_websocket_protocol() -> WebSocketsSansIOProtocol:
    config = Config("gateway.app:create_app", interface="asgi3")
    config.loaded, config.loaded_app = True, None
    return WebSocketsSansIOProtocol(config=config, server_state=ServerState(), app_state={})


def test_uvicorn_is_limited_to_the_version_that_was_tested():
    """A newer version is taken together with a look at what docs/architecture.md lists."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert "uvicorn>=0.54,<0.55" in dependencies


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (ServerState(), ("connections", "tasks", "default_headers", "total_requests")),
        (Config(""), ("loaded", "timeout_keep_alive", "timeout_worker_healthcheck")),
        (Multiprocess, ("keep_subprocess_alive",)),
        (Process, ("is_alive", "is_ready", "kill", "join", "start", "exitcode", "pid")),
        (http11, ("MAX_LINE_LENGTH",)),
    ],
    ids=["ServerState", "Config", "Multiprocess", "Process", "websockets.http11"],
)
def test_the_interfaces_exist(owner: Any, names: tuple[str, ...]):
    assert [name for name in names if not hasattr(owner, name)] == []


@pytest.mark.anyio
async def test_the_websocket_protocol_has_what_its_subclass_uses():
    protocol = create_websocket_protocol()
    for name in ("logger", "handshake_initiated", "handshake_complete", "handle_connect", "transport"):
        assert hasattr(protocol, name)
    assert hasattr(protocol.conn, "handshake_exc")
    assert hasattr(protocol.conn, "logger")

"""The server process: one socket, one or more processes that answer on it, and a word to whoever started them."""

import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from types import FrameType

import typer
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import ChangeReload

from gateway.observability.metrics.multiprocess import worker_directory
from gateway.seeding import Account
from gateway.server.shutdown import NOTICE
from gateway.server.supervisor import Supervisor
from gateway.settings import Settings

ROOMS = ("gateway", "schema", "resolvers", "models")
ROOT = Path(__file__).parents[2]

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  these are looked for, not listened at

LEAST_GRACE = 1
"""Seconds that requests have to end, whatever `SHUTDOWN_GRACE` leaves them."""

MARGIN = 1
"""Seconds for what there is to do after the last request: connections to close, a log line."""

MOST_FRAMES = 4
"""A WebSocket's message of up to so many bodies' size is refused in GraphQL's way; beyond that it is not read."""

PATIENCE = 60
"""Seconds that the server has to come up before nobody waits to say where it is."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that is ours, and how it will be answered."""

    config: uvicorn.Config
    socket: socket.socket

    @property
    def place(self) -> tuple[str, int]:
        """Where this machine finds it."""
        host, port = self.socket.getsockname()[:2]
        return EVERYWHERE.get(host, host), port

    @property
    def address(self) -> str:
        """The same, as a browser spells it."""
        host, port = self.place
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def is_answered(self) -> bool:
        try:
            socket.create_connection(self.place, timeout=1).close()
        except OSError:
            return False
        return True


def listen(host: str, port: int, settings: Settings, *, workers: int, reload: bool) -> Listener:
    """Take the port first: nothing is migrated for a server that cannot start. Exits, with a word, if it is taken."""
    grace = settings.shutdown_grace.total_seconds() - NOTICE
    config = uvicorn.Config(
        "gateway.app:create_app",
        factory=True,
        http="gateway.server.http_protocol:Connection",
        ws="gateway.server.http_protocol:Socket",
        ws_max_size=MOST_FRAMES * settings.max_body_bytes,
        ws_ping_interval=None,  # GraphQL's protocol has pings of its own
        ws_per_message_deflate=False,  # compression would cost each socket more memory than all else that it holds
        host=host,
        port=port,
        workers=workers,
        reload=reload,
        reload_dirs=[str(ROOT / room) for room in ROOMS] if reload else None,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=max(LEAST_GRACE, round(grace - MARGIN)),
    )
    try:
        return Listener(config, config.bind_socket())
    except SystemExit:
        typer.echo(f"The server cannot listen at {host}, port {port}; --host and --port name others", err=True)
        raise


def serve(listener: Listener, settings: Settings, account: Account | None) -> None:
    """Answer until told to stop."""
    signal.signal(signal.SIGTERM, leave)
    config, sockets, stopped = listener.config, [listener.socket], Event()
    Thread(target=announce, args=(listener, settings, account, stopped), daemon=True).start()
    try:
        has_started = run(config, sockets)
    except KeyboardInterrupt:
        return
    finally:
        stopped.set()
    if not has_started:
        raise typer.Exit(STARTUP_FAILURE)


def run(config: uvicorn.Config, sockets: list[socket.socket]) -> bool:
    """Answer, in as many processes as are wanted; whether any could start."""
    server = uvicorn.Server(config)
    if config.should_reload:
        ChangeReload(config, target=server.run, sockets=sockets).run()
        return True
    if config.workers > 1:
        supervisor = Supervisor(config, sockets)
        with worker_directory():
            supervisor.run()
        return not supervisor.has_failed
    server.run(sockets=sockets)
    return server.started


def leave(number: int, frame: FrameType | None) -> None:
    """Told to stop, the server did: uvicorn raises the signal again once it has, which would look like a failure."""
    sys.exit(0)


def announce(listener: Listener, settings: Settings, account: Account | None, stopped: Event) -> None:
    """Once somebody answers, which is after everything has started, say where it is."""
    for _ in range(PATIENCE * 10):
        if stopped.wait(0.1):
            return
        if listener.is_answered():
            # In production standard output is for lines of JSON.
            typer.echo("\n".join(places(listener.address, settings, account)), err=settings.in_production)
            return


def places(address: str, settings: Settings, account: Account | None) -> list[str]:
    lines = ["", f"Dovetail {settings.app_version} is up", ""]
    if settings.explorable:
        lines.append(f"  GraphiQL      http://{address}/graphql")
    lines += [f"  OpenAPI page  http://{address}/docs", f"  Health check  http://{address}/api/health"]
    if account:
        lines.append(f"  Sign in as    {account.email} with {account.password}")
    return [*lines, ""]

"""The server process: one listening socket, and one or more processes that answer on it."""

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
from gateway.server.shutdown import DRAIN_DELAY_SECONDS
from gateway.server.supervisor import Supervisor
from gateway.settings import Settings

ROOT = Path(__file__).parents[2]
RELOAD_DIRS = [str(ROOT / package) for package in ("gateway", "schema", "resolvers", "models")]

WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - keys of a lookup; nothing listens on them
"""The loopback address at which a server that listens on every address is reachable."""

MIN_GRACE_SECONDS = 1
"""Time that running requests get to finish at shutdown, however short `SHUTDOWN_GRACE` is."""

CLOSE_MARGIN_SECONDS = 1
"""Part of `SHUTDOWN_GRACE` that is reserved for closing connections and pools after the last request."""

MAX_MESSAGE_FACTOR = 4
"""WebSocket messages above `MAX_BODY_BYTES` get a GraphQL error; above this multiple, the connection is closed."""

STARTUP_TIMEOUT_SECONDS = 60
"""How long to wait for the server to answer before giving up on printing its URLs."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket and the configuration of the server that will accept connections on it."""

    config: uvicorn.Config
    socket: socket.socket

    @property
    def bound_address(self) -> tuple[str, int]:
        """The host and port at which this machine reaches the server."""
        host, port = self.socket.getsockname()[:2]
        return WILDCARD_HOSTS.get(host, host), port

    @property
    def url_host(self) -> str:
        """The host and port as they appear in a URL."""
        host, port = self.bound_address
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def is_reachable(self) -> bool:
        try:
            socket.create_connection(self.bound_address, timeout=1).close()
        except OSError:
            return False
        return True


def listen(host: str, port: int, settings: Settings, *, workers: int, reload: bool) -> Listener:
    """Bind the socket, so that a server that cannot listen does not migrate the database first.

    Exits with an error message if the address is in use or not available.
    """
    grace_seconds = settings.shutdown_grace.total_seconds() - DRAIN_DELAY_SECONDS - CLOSE_MARGIN_SECONDS
    config = uvicorn.Config(
        "gateway.server.shutdown:create_app",
        factory=True,
        http="gateway.server.http_protocol:HttpProtocol",
        ws="gateway.server.websocket_protocol:WebSocketProtocol",
        ws_max_size=MAX_MESSAGE_FACTOR * settings.max_body_bytes,
        ws_ping_interval=None,  # graphql-transport-ws has its own ping messages
        ws_per_message_deflate=False,  # a compression context takes more memory than everything else per connection
        host=host,
        port=port,
        workers=workers,
        reload=reload,
        reload_dirs=RELOAD_DIRS if reload else None,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=max(MIN_GRACE_SECONDS, round(grace_seconds)),
    )
    try:
        return Listener(config, config.bind_socket())
    except SystemExit:
        typer.echo(f"Cannot listen on {host}, port {port}. Choose another address with --host and --port.", err=True)
        raise


def serve(listener: Listener, settings: Settings, account: Account | None) -> None:
    """Run the server until it is stopped. Exits with uvicorn's `STARTUP_FAILURE` if it could not start.

    `account`: the demo account to print, if the database was filled with demo data.
    """
    signal.signal(signal.SIGTERM, on_sigterm)
    stopped = Event()
    Thread(target=print_when_ready, args=(listener, settings, account, stopped), daemon=True).start()
    try:
        has_started = run(listener.config, [listener.socket])
    except KeyboardInterrupt:
        return
    finally:
        stopped.set()
    if not has_started:
        raise typer.Exit(STARTUP_FAILURE)


def run(config: uvicorn.Config, sockets: list[socket.socket]) -> bool:
    """Serve with as many processes as configured. Return False if no process could start."""
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


def on_sigterm(number: int, frame: FrameType | None) -> None:
    """Exit with status 0: uvicorn raises SIGTERM again after a graceful shutdown, which would look like a failure."""
    sys.exit(0)


def print_when_ready(listener: Listener, settings: Settings, account: Account | None, stopped: Event) -> None:
    """Print the server's URLs as soon as it accepts connections, which is after startup is complete."""
    for _ in range(STARTUP_TIMEOUT_SECONDS * 10):
        if stopped.wait(0.1):
            return
        if listener.is_reachable():
            # In production, standard output carries only JSON log lines.
            typer.echo("\n".join(startup_lines(listener.url_host, settings, account)), err=settings.in_production)
            return


def startup_lines(url_host: str, settings: Settings, account: Account | None) -> list[str]:
    """Return the lines that tell a developer where the server's pages are."""
    lines = ["", f"Dovetail {settings.app_version} is up", ""]
    if settings.introspection_enabled:
        lines.append(f"  GraphiQL      http://{url_host}/graphql")
    lines += [f"  OpenAPI page  http://{url_host}/docs", f"  Health check  http://{url_host}/api/health"]
    if account:
        lines.append(f"  Sign in as    {account.email} with {account.password}")
    return [*lines, ""]

"""Run the Dovetail server, and manage its database, accounts, API keys, documents and webhook events."""

import json
from importlib.metadata import version
from typing import Annotated

import typer

from gateway import seeding
from gateway.cli import api_keys, documents, migrations, schema, seed, uploads, users, webhooks
from gateway.cli.console import USAGE_ERROR, abort, read_settings, run
from gateway.tasks.migrations import ensure_migrated

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def print_version(requested: bool) -> None:
    if requested:
        typer.echo(version("dovetail"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Declare the options before any command. Typer prints the help text of `app`, not this one."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all interfaces.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; default: PORT.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Fill an empty database with demo data.")] = False,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when the code changes.")] = False,
) -> None:
    """Run the server for GraphQL and REST."""
    from gateway.server import run as server  # other commands do not need the web server

    settings = read_settings()
    if demo and settings.in_production:
        abort("--demo is for development: the passwords of its accounts are public", USAGE_ERROR)
    if workers > 1 and reload:
        abort("--reload and --workers cannot be combined", USAGE_ERROR)
    port = settings.port if port is None else port
    listener = server.listen(host, port, settings, workers=workers, reload=reload)
    run(settings, ensure_migrated(settings))
    account = run(settings, seeding.demo(settings.database_url)) if demo else None
    server.serve(listener, settings, account)


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the REST API."""
    from gateway.app import create_app

    typer.echo(json.dumps(create_app(read_settings()).openapi(), indent=2, ensure_ascii=False))


app.command()(migrations.migrate)
app.command()(seed.seed)
app.add_typer(users.app, name="user")
app.add_typer(api_keys.app, name="keys")
app.add_typer(documents.app, name="documents")
app.add_typer(schema.app, name="schema")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(uploads.app, name="uploads")

"""`gateway keys`: manage API keys."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli.console import USAGE_ERROR, abort, read_settings, with_database
from gateway.settings import duration
from models import utcnow
from models.errors import ValidationError
from resolvers import api_keys
from resolvers.inputs import validate

TABLE_WIDTH = 160
COLUMNS = "ID", "Name", "Account", "Scopes", "Created", "Last used", "Status"

app = typer.Typer(help="Manage API keys.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="Purpose of the key.")],
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Account that the key acts as; default: a new one.")
    ] = None,
    scopes: Annotated[str, typer.Option(help="`read` or `read,write`.")] = "read",
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 90d; default: never.")] = None,
) -> None:
    """Create an API key and print it. It cannot be printed again."""
    settings = read_settings()
    input = build_input(name=name, scopes=parse_scopes(scopes), lifetime=parse_duration(expires))
    key = with_database(settings, lambda db: api_keys.create(db, input, user))
    typer.echo("Save the key: it cannot be shown again.", err=True)
    typer.echo(key)


@app.command("list")
def list_keys() -> None:
    """List all API keys, including expired and revoked ones."""
    keys = with_database(read_settings(), api_keys.list_keys)
    Console(width=TABLE_WIDTH).print(build_table(keys)) if keys else typer.echo("There are no API keys")


@app.command()
def revoke(key: Annotated[str, typer.Argument(metavar="ID", help="The key's id, or the key itself.")]) -> None:
    """Revoke an API key. It stops working at once."""
    with_database(read_settings(), lambda db: api_keys.revoke(db, key.strip()))
    typer.echo("The key is revoked")


def parse_scopes(text: str) -> frozenset[api_keys.Scope]:
    try:
        return api_keys.parse_scopes(part.strip() for part in text.split(","))
    except ValueError:
        abort(f"--scopes must be `read` or `read,write`, not {text!r}", USAGE_ERROR)


def parse_duration(text: str | None) -> timedelta | None:
    try:
        return duration(text)
    except ValueError as error:
        abort(f"--expires {error}", USAGE_ERROR)


def build_input(**values: Any) -> api_keys.NewKey:
    try:
        return validate(api_keys.NewKey, values)
    except ValidationError as error:
        abort(f"--{error.message}", USAGE_ERROR)


def build_table(keys: Sequence[Any]) -> Table:
    table = Table(*COLUMNS, box=box.SIMPLE)
    for key, user in keys:
        created, last_used = format_date(key.created_at), format_date(key.last_used_at)
        name, account = escape(key.name), escape(user.email or user.name)
        table.add_row(str(key.id), name, account, key.scopes, created, last_used, format_state(key))
    return table


def format_date(timestamp: datetime | None) -> str:
    return f"{timestamp:%Y-%m-%d %H:%M}" if timestamp else "never"


def format_state(key: Any) -> str:
    if key.revoked_at:
        return f"revoked {format_date(key.revoked_at)}"
    if key.expires_at is None:
        return "active"
    return f"{'expired' if key.expires_at <= utcnow() else 'active until'} {format_date(key.expires_at)}"

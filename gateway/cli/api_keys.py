"""`gateway keys`: API keys for machines."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.cli.console import WRONG, abort, read_settings, with_database
from gateway.settings import duration
from models import utcnow
from models.errors import ValidationError
from resolvers import api_keys
from resolvers.inputs import validate

WIDTH = 160
COLUMNS = "ID", "Name", "Acts as", "Scopes", "Made", "Last used", "State"

app = typer.Typer(help="API keys, with which machines sign in.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    user: Annotated[
        str | None, typer.Option(metavar="EMAIL", help="Whom it acts as; an account of its own, unless given.")
    ] = None,
    scopes: Annotated[str, typer.Option(help="`read`, or `read,write`.")] = "read",
    expires: Annotated[str | None, typer.Option(metavar="DURATION", help="Such as 90d; never, unless given.")] = None,
) -> None:
    """Make a key and print it, this once."""
    settings, wanted = (
        read_settings(),
        build_input(name=name, scopes=parse_scopes(scopes), lifetime=parse_duration(expires)),
    )
    key = with_database(settings, lambda db: api_keys.create(db, wanted, user))
    typer.echo("Keep it well: it cannot be shown again.", err=True)
    typer.echo(key)


@app.command("list")
def list_keys() -> None:
    """Show all keys, those that no longer work too, but not what they are."""
    rows = with_database(read_settings(), api_keys.list_keys)
    Console(width=WIDTH).print(table(rows)) if rows else typer.echo("There are no API keys")


@app.command()
def revoke(key: Annotated[str, typer.Argument(metavar="ID", help="The id that `list` shows, or the key.")]) -> None:
    """End a key, at once."""
    with_database(read_settings(), lambda db: api_keys.revoke(db, key.strip()))
    typer.echo("The key is revoked")


def parse_scopes(text: str) -> frozenset[api_keys.Scope]:
    try:
        return api_keys.parse_scopes(part.strip() for part in text.split(","))
    except ValueError:
        abort(f"--scopes is `read` or `read,write`, not {text!r}", WRONG)


def parse_duration(text: str | None) -> timedelta | None:
    try:
        return duration(text)
    except ValueError as error:
        abort(f"--expires {error}", WRONG)


def build_input(**values: Any) -> api_keys.NewKey:
    try:
        return validate(api_keys.NewKey, values)
    except ValidationError as error:
        abort(f"--{error.message}", WRONG)


def table(rows: Sequence[Any]) -> Table:
    shown = Table(*COLUMNS, box=box.SIMPLE)
    for key, user in rows:
        used, made = format_date(key.last_used_at), format_date(key.created_at)
        shown.add_row(
            str(key.id), escape(key.name), escape(user.email or user.name), key.scopes, made, used, format_state(key)
        )
    return shown


def format_date(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"


def format_state(key: Any) -> str:
    if key.revoked_at:
        return f"revoked {format_date(key.revoked_at)}"
    if key.expires_at is None:
        return "works"
    return f"{'expired' if key.expires_at <= utcnow() else 'until'} {format_date(key.expires_at)}"

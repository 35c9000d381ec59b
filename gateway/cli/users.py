"""`gateway user`: manage accounts."""

from typing import Annotated

import typer

from gateway.cli.console import read_settings, with_database
from resolvers import accounts

app = typer.Typer(help="Manage accounts.", no_args_is_help=True)


@app.command()
def promote(email: Annotated[str, typer.Argument(help="Email address of the account.")]) -> None:
    """Make an account an admin."""
    with_database(read_settings(), lambda db: accounts.promote(db, email))
    typer.echo(f"{email} is now an admin")

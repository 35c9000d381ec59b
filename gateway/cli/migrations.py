"""`gateway migrate`: migrate the database."""

from typing import Annotated

import typer

from gateway.cli.console import abort, confirm, display_url, read_settings, run
from models.migrations import downgrade, is_current, upgrade


def migrate(
    down: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Downgrade to this revision, or to `base`.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Only check whether the database is up to date.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Migrate the database to the newest version."""
    settings = read_settings()
    if check:
        if not run(settings, is_current(settings.database_url)):
            abort("The database is not up to date: run `gateway migrate`")
    elif down:
        confirm(f"Downgrade {display_url(settings)} to {down}, and lose the data that newer versions added?", yes=yes)
        run(settings, downgrade(settings.database_url, down))
        typer.echo(f"The database is at {down}")
        return
    else:
        run(settings, upgrade(settings.database_url))
    typer.echo("The database is up to date")

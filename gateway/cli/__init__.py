"""`gateway`: serve, migrate, seed, sweep, print the schema, trust documents, make admins and keys, replay webhooks."""

import json
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gateway import seeding
from gateway.cli import api_keys, webhooks
from gateway.cli.console import WRONG, abort, confirm, display_url, read_settings, run, with_database
from gateway.cli.documents import documents_app, schema_app
from gateway.tasks.migrations import ensure_migrated
from models.migrations import downgrade, is_current, upgrade
from resolvers import accounts, cleanup

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
user_app = typer.Typer(help="Accounts.", no_args_is_help=True)
app.add_typer(user_app, name="user")
app.add_typer(api_keys.app, name="keys")
app.add_typer(documents_app, name="documents")
app.add_typer(schema_app, name="schema")
app.add_typer(webhooks.app, name="webhooks")
uploads_app = typer.Typer(help="Files that were sent.", no_args_is_help=True)
app.add_typer(uploads_app, name="uploads")


def print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("dovetail"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """What goes before any command; Typer shows the text that `app` was given."""


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port to listen at; PORT, unless given.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many processes answer.")] = 1,
    demo: Annotated[bool, typer.Option("--demo", help="Fill an empty database with something to look at.")] = False,
    reload: Annotated[bool, typer.Option("--reload", help="Start again when the code changes.")] = False,
) -> None:
    """Serve GraphQL and REST."""
    from gateway.server import run as server  # here, because other commands need no web server

    settings = read_settings()
    if demo and settings.in_production:
        abort("--demo is for development: everybody knows the passwords of its accounts", WRONG)
    if workers > 1 and reload:
        abort("--reload watches one process: leave --workers out", WRONG)
    port = settings.port if port is None else port
    listener = server.listen(host, port, settings, workers=workers, reload=reload)
    run(settings, ensure_migrated(settings))
    account = run(settings, seeding.demo(settings.database_url)) if demo else None
    server.serve(listener, settings, account)


@app.command()
def migrate(
    down: Annotated[str | None, typer.Option(metavar="REVISION", help="Go back to this one, or to `base`.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only say whether the database is current.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before going back.")] = False,
) -> None:
    """Bring the database up to date."""
    settings = read_settings()
    if check:
        if not run(settings, is_current(settings.database_url)):
            abort("The database is behind: run `gateway migrate`")
        typer.echo("The database is current")
    elif down:
        confirm(f"Take {display_url(settings)} back to {down}, without what it has kept since?", yes=yes)
        run(settings, downgrade(settings.database_url, down))
        typer.echo(f"The database is at {down}")
    else:
        run(settings, upgrade(settings.database_url))
        typer.echo("The database is current")


@app.command()
def seed(
    users: Annotated[int, typer.Option(min=0)] = 1_000,
    posts: Annotated[int, typer.Option(min=0)] = 20_000,
    comments: Annotated[int, typer.Option(min=0)] = 100_000,
    likes: Annotated[int, typer.Option(min=0)] = 200_000,
    tags_per_post: Annotated[int, typer.Option(min=0)] = 3,
    tags: Annotated[int, typer.Option(min=0)] = 60,
    categories: Annotated[int, typer.Option(min=0)] = 8,
    seed: Annotated[int, typer.Option(help="The same seed on the same data gives the same rows.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove everything that is there first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before removing.")] = False,
) -> None:
    """Add made-up posts, comments and likes, to measure with or to look at."""
    settings = read_settings()
    try:
        amounts = seeding.SeedSizes(users, posts, comments, likes, tags_per_post, tags, categories)
    except ValueError as error:
        abort(str(error), WRONG)
    if fresh:
        confirm(f"Remove every row from {display_url(settings)}?", yes=yes)
    run(settings, ensure_migrated(settings))
    with bars() as progress:
        run(settings, seeding.seed(settings.database_url, amounts, seed=seed, fresh=fresh, progress=Bars(progress)))


@app.command()
def openapi() -> None:
    """Print the OpenAPI document of the REST half."""
    from gateway.app import create_app

    typer.echo(json.dumps(create_app(read_settings()).openapi(), indent=2, ensure_ascii=False))


@user_app.command()
def promote(email: Annotated[str, typer.Argument(help="The address that the account signs in with.")]) -> None:
    """Make an admin of an account."""
    with_database(read_settings(), lambda db: accounts.promote(db, email))
    typer.echo(f"{email} is an admin now")


@uploads_app.command(name="sweep")
def sweep_uploads() -> None:
    """Remove the uploads that no post has pointed at for a day, and the files that belong to none."""
    from gateway.adapters.storage import create_storage  # takes its drivers along, which other commands do without

    settings = read_settings()
    swept = with_database(settings, lambda db: cleanup.delete_orphans(db, create_storage(settings.upload_url)))
    typer.echo(f"Removed {swept.uploads} uploads and {swept.files} stray files")


def bars() -> Progress:
    columns = TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=Console(stderr=True))


class Bars:
    """One bar for each table, from the first that is heard of it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, Any] = {}

    def __call__(self, table: str, done: int, total: int) -> None:
        if table not in self.tasks:
            self.tasks[table] = self.progress.add_task(table, total=total)
        self.progress.update(self.tasks[table], completed=done)

"""`gateway seed`: add generated data."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from gateway import seeding
from gateway.cli.console import USAGE_ERROR, abort, confirm, display_url, read_settings, run
from gateway.tasks.migrations import ensure_migrated


def seed(
    users: Annotated[int, typer.Option(min=0)] = 1_000,
    posts: Annotated[int, typer.Option(min=0)] = 20_000,
    comments: Annotated[int, typer.Option(min=0)] = 100_000,
    likes: Annotated[int, typer.Option(min=0)] = 200_000,
    tags_per_post: Annotated[int, typer.Option(min=0)] = 3,
    tags: Annotated[int, typer.Option(min=0)] = 60,
    categories: Annotated[int, typer.Option(min=0)] = 8,
    seed: Annotated[int, typer.Option(help="Seed of the random generator.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete all existing data first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Add generated users, posts, comments and likes, for benchmarks and development."""
    settings = read_settings()
    try:
        sizes = seeding.SeedSizes(users, posts, comments, likes, tags_per_post, tags, categories)
    except ValueError as error:
        abort(str(error), USAGE_ERROR)
    if fresh:
        confirm(f"Delete all rows of {display_url(settings)}?", yes=yes)
    run(settings, ensure_migrated(settings))
    columns = TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        show = ProgressBars(progress)
        run(settings, seeding.seed(settings.database_url, sizes, seed=seed, fresh=fresh, progress=show))


class ProgressBars:
    """A progress bar for each table, added with the first report on it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, table: str, written: int, total: int) -> None:
        if table not in self.tasks:
            self.tasks[table] = self.progress.add_task(table, total=total)
        self.progress.update(self.tasks[table], completed=written)

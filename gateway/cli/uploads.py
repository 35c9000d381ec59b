"""`gateway uploads`: manage uploaded files."""

import typer

from gateway.cli.console import read_settings, with_database
from resolvers import cleanup

app = typer.Typer(help="Manage uploaded files.", no_args_is_help=True)


@app.command()
def sweep() -> None:
    """Delete uploads that no post has used for a day, and files without an upload."""
    from gateway.adapters.storage import create_storage  # other commands do not need the storage drivers

    settings = read_settings()
    deleted = with_database(settings, lambda db: cleanup.delete_orphans(db, create_storage(settings.upload_url)))
    typer.echo(f"Deleted {deleted.uploads} uploads and {deleted.files} files without an upload")

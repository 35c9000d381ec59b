"""`gateway documents`: manage trusted documents."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.console import abort, read_settings, with_database
from resolvers import trusted_documents
from resolvers.trusted_documents import DocumentInfo

Manifest = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The manifest.")]

app = typer.Typer(help="Manage trusted documents.", no_args_is_help=True)


@app.command()
def add(file: Manifest) -> None:
    """Trust the documents of a manifest: Apollo's, Relay's, or any JSON object of documents by id."""
    from gateway.persisted.manifests import InvalidManifest, parse_manifest
    from gateway.persisted.validation import InvalidDocuments, validate_manifest
    from gateway.wiring import document_limits
    from schema import schema

    settings = read_settings()
    try:
        documents = validate_manifest(schema._schema, document_limits(settings), parse_manifest(file.read_bytes()))
    except (InvalidManifest, InvalidDocuments) as error:
        abort(f"{file}: no documents were added\n{error}")
    added = with_database(settings, lambda db: trusted_documents.add(db, documents))
    typer.echo(f"Added {added} trusted documents; {len(documents) - added} were trusted already")


@app.command("list")
def list_documents() -> None:
    """List trusted documents: id, operation, and the day of their last use."""
    print_documents(with_database(read_settings(), trusted_documents.list_documents))


@app.command("unused")
def list_unused(days: Annotated[int, typer.Option(min=0, help="Days without use.")] = 30) -> None:
    """List trusted documents that clients have stopped using."""
    print_documents(with_database(read_settings(), lambda db: trusted_documents.list_unused(db, timedelta(days=days))))


@app.command()
def remove(ids: Annotated[list[str], typer.Argument(metavar="ID...")]) -> None:
    """Remove trusted documents."""
    with_database(read_settings(), lambda db: trusted_documents.remove(db, ids))
    typer.echo(f"Removed {len(ids)} trusted documents")


def print_documents(documents: Iterable[DocumentInfo]) -> None:
    """Print tab-separated lines: `gateway documents unused | cut -f1 | xargs gateway documents remove`."""
    for document in documents:
        last_use = f"last used on {document.last_used_at:%Y-%m-%d}" if document.last_used_at else "never used"
        typer.echo(f"{document.id}\t{document.operation or '-'}\t{last_use}")

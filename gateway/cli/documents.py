"""`gateway documents` and `gateway schema`: what is trusted, and whom a change of the schema would break."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from graphql import GraphQLError, build_schema

from gateway.cli.console import FAILED, WRONG, abort, read_settings, with_database
from models import DocumentUse
from resolvers import document_usage, trusted_documents
from resolvers.trusted_documents import DocumentInfo

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The manifest.")]
Sdl = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The schema that clients know, as SDL.")]

documents_app = typer.Typer(help="Trusted documents.", no_args_is_help=True)
schema_app = typer.Typer()


@documents_app.command()
def add(file: File) -> None:
    """Trust the documents of a manifest: Apollo's, Relay's, or any object of documents by id."""
    from gateway.persisted.manifests import InvalidManifest, parse_manifest
    from gateway.persisted.validation import InvalidDocuments, validate_manifest
    from gateway.wiring import document_limits
    from schema import schema

    settings = read_settings()
    try:
        trusted = validate_manifest(schema._schema, document_limits(settings), parse_manifest(file.read_bytes()))
    except (InvalidManifest, InvalidDocuments) as error:
        abort(f"{file}: nothing was added\n{error}")
    new = with_database(settings, lambda db: trusted_documents.add(db, trusted))
    typer.echo(f"{new} documents are trusted from now on; {len(trusted) - new} were already")


@documents_app.command("list")
def list_() -> None:
    """Print the trusted documents: id, operation, and when each was last asked for."""
    print_documents(with_database(read_settings(), trusted_documents.list_documents))


@documents_app.command()
def unused(days: Annotated[int, typer.Option(min=0, help="Not asked for in so many days.")] = 30) -> None:
    """Print the trusted documents that nobody asks for any more."""
    print_documents(with_database(read_settings(), lambda db: trusted_documents.unused(db, timedelta(days=days))))


@documents_app.command()
def remove(ids: Annotated[list[str], typer.Argument(metavar="ID...")]) -> None:
    """Trust documents no longer."""
    with_database(read_settings(), lambda db: trusted_documents.remove(db, ids))
    typer.echo(f"{len(ids)} documents are not trusted any more")


@schema_app.callback(invoke_without_command=True)
def print_schema(context: typer.Context) -> None:
    """Print the GraphQL schema, or see whom a change of it would break."""
    if context.invoked_subcommand is None:
        from schema import schema

        typer.echo(schema.as_str())


@schema_app.command()
def check(old: Sdl) -> None:
    """See which documents that the old schema answers this version would not, and which clients ask for them."""
    from gateway.persisted.validation import find_breaking_changes, find_broken_documents
    from gateway.wiring import document_limits
    from schema import schema

    settings, new = read_settings(), schema._schema
    try:
        before = build_schema(old.read_text())
    except (GraphQLError, TypeError, UnicodeDecodeError) as error:
        abort(f"{old}: is not a schema: {error}", WRONG)
    asked = with_database(settings, document_usage.list_usage)
    found = list(find_broken_documents(before, new, document_limits(settings), asked))
    for change in find_breaking_changes(before, build_schema(schema.as_str())):
        typer.echo(f"Breaking: {change}")
    for one in found:
        typer.echo(
            "\n".join(
                ["", format_heading(one.usage), *(f"  {why}" for why in one.reasons), *format_clients(one.usage.uses)]
            )
        )
    typer.echo(f"{len(found)} of {len(asked)} documents would break")
    if found:
        raise typer.Exit(FAILED)


def print_documents(listed: Iterable[DocumentInfo]) -> None:
    """A line for each, with tabs in between: `gateway documents unused | cut -f1 | xargs gateway documents remove`."""
    for one in listed:
        last = f"last asked for on {one.last_used_at:%Y-%m-%d}" if one.last_used_at else "never asked for"
        typer.echo(f"{one.id}\t{one.operation or '-'}\t{last}")


def format_heading(asked: document_usage.DocumentUsage) -> str:
    ids = ", ".join(asked.ids) or f"sha256:{asked.sha256}, not trusted"
    return f"{asked.operation or 'An operation without a name'} ({ids})"


def format_clients(uses: Iterable[DocumentUse]) -> list[str]:
    """The clients, the latest first."""
    return [f"  {format_client(use)}, {use.times} times, last on {use.last_used_at:%Y-%m-%d}" for use in uses] or [
        "  nobody has asked for it yet"
    ]


def format_client(use: DocumentUse) -> str:
    return f"{use.client_name} {use.client_version}".strip() or "a client without a name"

"""`gateway schema`: print the GraphQL schema, and check what a change of it breaks."""

from pathlib import Path
from typing import Annotated

import typer
from graphql import GraphQLError, build_schema

from gateway.cli.console import FAILURE, USAGE_ERROR, abort, read_settings, with_database
from resolvers import document_usage

OldSchema = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The schema to compare with, as SDL.")]

app = typer.Typer()


@app.callback(invoke_without_command=True)
def print_schema(context: typer.Context) -> None:
    """Print the GraphQL schema, or check what a change of it breaks."""
    if context.invoked_subcommand is None:
        from schema import schema

        typer.echo(schema.as_str())


@app.command()
def check(old: OldSchema) -> None:
    """List documents that are valid in the old schema and not in this one, with the clients that use them."""
    from gateway.persisted.validation import find_breaking_changes, find_broken_documents
    from gateway.wiring import document_limits
    from schema import schema

    settings = read_settings()
    try:
        old_schema = build_schema(old.read_text())
    except (GraphQLError, TypeError, UnicodeDecodeError) as error:
        abort(f"{old} is not a GraphQL schema: {error}", USAGE_ERROR)
    usages = with_database(settings, document_usage.list_usage)
    broken = list(find_broken_documents(old_schema, schema._schema, document_limits(settings), usages))
    for change in find_breaking_changes(old_schema, build_schema(schema.as_str())):
        typer.echo(f"Breaking: {change}")
    for document in broken:
        reasons = [f"  {reason}" for reason in document.reasons]
        typer.echo("\n".join(["", format_heading(document.usage), *reasons, *format_clients(document.usage)]))
    typer.echo(f"{len(broken)} of {len(usages)} documents would break")
    if broken:
        raise typer.Exit(FAILURE)


def format_heading(usage: document_usage.DocumentUsage) -> str:
    ids = ", ".join(usage.ids) or f"sha256:{usage.sha256}, not trusted"
    return f"{usage.operation or 'Unnamed operation'} ({ids})"


def format_clients(usage: document_usage.DocumentUsage) -> list[str]:
    """Return a line for each client, the latest first."""
    return [
        f"  {f'{use.client_name} {use.client_version}'.strip() or 'unnamed client'},"
        f" {use.times} times, last on {use.last_used_at:%Y-%m-%d}"
        for use in usage.uses
    ] or ["  not used yet"]

"""`gateway webhooks`: what Stripe told, and what became of it."""

from enum import StrEnum
from typing import Annotated

import orjson
import typer

from gateway.cli.console import abort, read_settings, with_database
from models import WebhookEvent, WebhookStatus
from resolvers.stripe import webhooks

Status = StrEnum("Status", {status.name: status.name for status in WebhookStatus})
EventId = Annotated[str, typer.Argument(metavar="ID", help="Stripe's id of the event: evt_…")]

app = typer.Typer(help="What Stripe told, and what became of it.", no_args_is_help=True)


@app.command("list")
def list_events(
    status: Annotated[Status | None, typer.Option(help="Only those of this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
) -> None:
    """Show events, the latest first."""
    settings, wanted = read_settings(), status and WebhookStatus[status.name]
    rows = with_database(settings, lambda db: webhooks.list_recent(db, wanted, limit))
    for row in rows:
        typer.echo(format_event(row))
    if not rows:
        typer.echo("There are none")


@app.command()
def show(id: EventId) -> None:
    """Show an event, with all that Stripe wrote, as JSON."""
    row = with_database(read_settings(), lambda db: webhooks.get(db, id))
    typer.echo(orjson.dumps(row.model_dump(), option=orjson.OPT_INDENT_2).decode())


@app.command()
def replay(id: EventId) -> None:
    """Try an event again; one that has taken its effect is left alone."""
    row = with_database(read_settings(), lambda db: webhooks.retry(db, id))
    if row.status is WebhookStatus.FAILED:
        abort(f"{row.id} failed again: {row.error}")
    typer.echo(f"{row.id} is {row.status.name}")


def format_event(row: WebhookEvent) -> str:
    return f"{row.created_at:%Y-%m-%d %H:%M:%S}  {row.status.name:<9}  {row.id}  {row.type}  {row.error or ''}".rstrip()

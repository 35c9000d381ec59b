"""`gateway webhooks`: list Stripe's events and process them again."""

from enum import StrEnum
from typing import Annotated

import orjson
import typer

from gateway.cli.console import abort, read_settings, with_database
from models import WebhookEvent, WebhookStatus
from resolvers.stripe import webhooks

Status = StrEnum("Status", {status.name: status.name for status in WebhookStatus})
EventId = Annotated[str, typer.Argument(metavar="ID", help="Stripe's id of the event: evt_…")]

app = typer.Typer(help="Manage Stripe's webhook events.", no_args_is_help=True)


@app.command("list")
def list_events(
    status: Annotated[Status | None, typer.Option(help="List only events with this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of events.")] = 100,
) -> None:
    """List events, newest first."""
    wanted = status and WebhookStatus[status.name]
    events = with_database(read_settings(), lambda db: webhooks.list_recent(db, wanted, limit))
    for event in events:
        typer.echo(format_event(event))
    if not events:
        typer.echo("There are no events")


@app.command()
def show(id: EventId) -> None:
    """Print an event with Stripe's payload as JSON."""
    event = with_database(read_settings(), lambda db: webhooks.get(db, id))
    typer.echo(orjson.dumps(event.model_dump(), option=orjson.OPT_INDENT_2).decode())


@app.command()
def replay(id: EventId) -> None:
    """Process an event again, unless it is processed already."""
    event = with_database(read_settings(), lambda db: webhooks.retry(db, id))
    if event.status is WebhookStatus.FAILED:
        abort(f"{event.id} failed again: {event.error}")
    typer.echo(f"{event.id} is {event.status.name}")


def format_event(event: WebhookEvent) -> str:
    created, status = f"{event.created_at:%Y-%m-%d %H:%M:%S}", f"{event.status.name:<9}"
    return f"{created}  {status}  {event.id}  {event.type}  {event.error or ''}".rstrip()

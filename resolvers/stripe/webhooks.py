"""Stripe's webhook events: every event is stored, and takes effect exactly once.

An event's row and its effect are written in one transaction. Only PROCESSED is final: a FAILED or IGNORED event is
retried when Stripe delivers it again, when an admin replays it, or when an object that it refers to becomes known.
"""

import logging
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import pydantic
from pydantic import PlainValidator
from sqlalchemy import Select, and_, desc, or_, select
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from models import Database, Viewer, WebhookEvent, WebhookStatus, utcnow
from models.database.advisory_lock import lock_names
from models.database.upserts import insert_ignore
from models.errors import APIError, Forbidden, NotFound, Unauthorized, Unavailable
from resolvers.context import RequestContext, requires_login
from resolvers.inputs import raw_id, to_validation_error, validate
from resolvers.stripe.effects import EFFECTS, REFUND, CannotApply, Effect
from resolvers.stripe.events import Event, OrderObject

EventId = Annotated[UUID, PlainValidator(raw_id)]
"""Stripe's own id, which is text."""


def json_path(*path: str) -> Any:
    return WebhookEvent.payload[("data", "object", *path)].as_string()


SUBJECT_PATHS = [
    json_path("payment_intent"),
    json_path("id"),
    json_path("subscription"),
    json_path("parent", "subscription_details", "subscription"),
]
"""Places in an event with the ids of the objects that it is about."""
RETRYABLE = WebhookStatus.FAILED, WebhookStatus.IGNORED

logger = logging.getLogger("resolvers.webhooks")


def webhook_events(viewer: Viewer | None, status: WebhookStatus | None = None) -> Select[WebhookEvent]:
    """Webhook events from Stripe, newest first. Admins only."""
    check_admin(viewer)
    return events_query(status)


def events_query(status: WebhookStatus | None) -> Select[WebhookEvent]:
    query = select(WebhookEvent).order_by(desc(WebhookEvent.created_at), desc(WebhookEvent.id))
    return query if status is None else query.where(WebhookEvent.status == status)


@requires_login
async def replay(ctx: RequestContext, id: EventId) -> str:
    """Process a failed or ignored webhook event again. A processed event does not change. Admins only."""
    check_admin(ctx.viewer)
    await retry(ctx.db, id)
    return id


def check_admin(viewer: Viewer | None) -> None:
    if viewer is None:
        raise Unauthorized
    if not viewer.is_admin:
        raise Forbidden("Only an admin may access webhook events")


async def receive(db: Database, payload: Any) -> WebhookStatus:
    """Store and process a verified event. Return its status, or raise `Unavailable` if a retry may help."""
    event = validate(Event, payload if isinstance(payload, dict) else {})
    try:
        async with db.writing() as session:
            return await process(session, event, strip_nul(payload))
    except (IntegrityError, DataError) as error:
        return await record_crash(db, event, strip_nul(payload), error)
    except SQLAlchemyError as error:
        raise Unavailable from error
    except APIError:
        raise
    except Exception as error:
        return await record_crash(db, event, strip_nul(payload), error)


async def retry(db: Database, id: str) -> WebhookEvent:
    """Process a stored event again and return it."""
    await receive(db, (await get(db, id)).payload)
    return await get(db, id)


async def get(db: Database, id: str) -> WebhookEvent:
    """Return a stored event, or raise `NotFound`."""
    async with db.reading() as session:
        row = await session.get(WebhookEvent, id)
    if row is None:
        raise NotFound.for_entity("Webhook event")
    return row


async def list_recent(db: Database, status: WebhookStatus | None, limit: int) -> Sequence[WebhookEvent]:
    """Return stored events, newest first."""
    async with db.reading() as session:
        return (await session.scalars(events_query(status).limit(limit))).all()


async def process(session: AsyncSession, event: Event, payload: dict[str, Any]) -> WebhookStatus:
    """Apply the effect of an event, or store why it failed. Return the event's status."""
    try:
        effect, data = parse_effect(event)
    except CannotApply as error:
        row = await lock_event(session, event, payload)
        mark_failed(row, error)
        return row.status
    await lock_names(session, [name for name in (event.id, *(data.lock_keys if data else ())) if name])
    row = await lock_event(session, event, payload)
    if row.status is not WebhookStatus.PROCESSED:
        await apply(session, row, event, effect, data)
    return row.status


async def apply(session: AsyncSession, row: WebhookEvent, event: Event, effect: Effect | None, data: Any) -> None:
    """Apply an effect, then retry the events that waited for it. Store a failure in the same transaction."""
    try:
        known = await effect(session, event, data) if effect else None
    except CannotApply as error:
        return mark_failed(row, error)
    row.status = WebhookStatus.IGNORED if known is None else WebhookStatus.PROCESSED
    row.error, row.processed_at, row.attempts = None, utcnow(), row.attempts + 1
    for waiting in await find_waiting(session, [name for name in known or () if name]):
        await retry_waiting(session, waiting)
    return None


async def retry_waiting(session: AsyncSession, waiting: WebhookEvent) -> None:
    """Apply an event that arrived too early. An unexpected failure does not affect the event that it waited for."""
    event, recorded = Event.model_validate(waiting.payload), len(session.info["events"])
    try:
        async with session.begin_nested():
            await apply(session, waiting, event, *parse_effect(event))
    except Exception as error:
        del session.info["events"][recorded:]
        logger.warning("Webhook event %s still fails", event.id, exc_info=error)


def parse_effect(event: Event) -> tuple[Effect | None, OrderObject | None]:
    """Return the effect and the object of an event, or `(None, None)` for other types. May raise `CannotApply`."""
    if event.type not in EFFECTS:
        return None, None
    model, effect = EFFECTS[event.type]
    try:
        return effect, model.model_validate(event.data.get("object"))
    except pydantic.ValidationError as error:
        raise CannotApply(f"Invalid event: {to_validation_error(error.errors(include_url=False))}") from error


async def find_waiting(session: AsyncSession, names: Sequence[str]) -> Sequence[WebhookEvent]:
    """Lock and return the events that arrived before the objects with these ids were known.

    A refund without an order may belong to a subscription; it refers to the customer only.
    """
    if not names:
        return ()
    is_waiting = WebhookEvent.status.in_(RETRYABLE), WebhookEvent.type.in_(EFFECTS)
    is_failed_refund = WebhookEvent.type == REFUND, WebhookEvent.status == WebhookStatus.FAILED
    has_customer = and_(*is_failed_refund, json_path("customer").in_(names))
    has_subject = or_(*(path.in_(names) for path in SUBJECT_PATHS), has_customer)
    query = select(WebhookEvent).where(*is_waiting, has_subject).order_by(WebhookEvent.created_at, WebhookEvent.id)
    return (await session.scalars(query.with_for_update())).all()


async def lock_event(session: AsyncSession, event: Event, payload: dict[str, Any]) -> WebhookEvent:
    """Lock and return the event's row, inserting it if it is new."""
    await insert_ignore(session, WebhookEvent(id=event.id, type=event.type, payload=payload))
    return (await session.scalars(select(WebhookEvent).where(WebhookEvent.id == event.id).with_for_update())).one()


def mark_failed(row: WebhookEvent, error: Exception) -> None:
    logger.info("Webhook event %s (%s) failed: %s", row.id, row.type, error)
    row.status, row.error, row.attempts = WebhookStatus.FAILED, str(error), row.attempts + 1


async def record_crash(db: Database, event: Event, payload: dict[str, Any], error: Exception) -> WebhookStatus:
    """Store an event as FAILED after an unexpected error, which rolled back its transaction."""
    logger.error("Webhook event %s (%s) failed unexpectedly", event.id, event.type, exc_info=error)
    async with db.writing() as session:
        row = await lock_event(session, event, payload)
        if row.status is not WebhookStatus.PROCESSED:
            mark_failed(row, CannotApply(f"Internal error: {type(error).__name__}; the cause is in the server's log"))
        return row.status


def strip_nul(value: Any) -> Any:
    """Return a JSON value without U+0000, which Postgres cannot store."""
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [strip_nul(inner) for inner in value]
        case dict():
            return {strip_nul(key): strip_nul(inner) for key, inner in value.items()}
    return value

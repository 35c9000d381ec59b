"""The ledger of what Stripe tells: every event is kept, and takes effect exactly once.

An event's row and its effect are one transaction. Only PROCESSED is final: an event that FAILED, or was IGNORED by a
server that did not know its type or whom it concerns, is tried again when Stripe delivers it again, when an admin
replays it, or when what it was waiting for becomes known.
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
"""Where events say what they are about."""
RETRYABLE = WebhookStatus.FAILED, WebhookStatus.IGNORED

logger = logging.getLogger("resolvers.webhooks")


def webhook_events(viewer: Viewer | None, status: WebhookStatus | None = None) -> Select[WebhookEvent]:
    """What Stripe has told, the latest first. Admins only."""
    check_admin(viewer)
    return events_query(status)


def events_query(status: WebhookStatus | None) -> Select[WebhookEvent]:
    found = select(WebhookEvent).order_by(desc(WebhookEvent.created_at), desc(WebhookEvent.id))
    return found if status is None else found.where(WebhookEvent.status == status)


@requires_login
async def replay(ctx: RequestContext, id: EventId) -> str:
    """Have an event that failed take its effect, once. One that has it already is left alone. Admins only."""
    check_admin(ctx.viewer)
    await retry(ctx.db, id)
    return id


def check_admin(viewer: Viewer | None) -> None:
    if viewer is None:
        raise Unauthorized
    if not viewer.is_admin:
        raise Forbidden("Webhook events are for admins")


async def receive(db: Database, payload: Any) -> WebhookStatus:
    """Take in an event whose signature was verified; how it stands then. What can mend by itself is `Unavailable`."""
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
    """Try an event that is kept once more; how it stands then."""
    await receive(db, (await get(db, id)).payload)
    return await get(db, id)


async def get(db: Database, id: str) -> WebhookEvent:
    """An event that is kept."""
    async with db.reading() as session:
        row = await session.get(WebhookEvent, id)
    if row is None:
        raise NotFound.for_entity("Webhook event")
    return row


async def list_recent(db: Database, status: WebhookStatus | None, most: int) -> Sequence[WebhookEvent]:
    """Events that are kept, the latest first."""
    async with db.reading() as session:
        return (await session.scalars(events_query(status).limit(most))).all()


async def process(session: AsyncSession, event: Event, payload: dict[str, Any]) -> WebhookStatus:
    """The event's effect, unless it has it; or why it cannot. How it stands then."""
    try:
        effect, said = parse_effect(event)
    except CannotApply as error:
        row = await lock_event(session, event, payload)
        mark_failed(row, error)
        return row.status
    await lock_names(session, [name for name in (event.id, *(said.lock_keys if said else ())) if name])
    row = await lock_event(session, event, payload)
    if row.status is not WebhookStatus.PROCESSED:
        await apply(session, row, event, effect, said)
    return row.status


async def apply(session: AsyncSession, row: WebhookEvent, event: Event, effect: Effect | None, said: Any) -> None:
    """Effects refuse before they change anything, so that a failure can be kept by the transaction that met it."""
    try:
        known = await effect(session, event, said) if effect else None
    except CannotApply as error:
        return mark_failed(row, error)
    row.status = WebhookStatus.IGNORED if known is None else WebhookStatus.PROCESSED
    row.error, row.processed_at, row.attempts = None, utcnow(), row.attempts + 1
    for waiting in await find_waiting(session, [name for name in known or () if name]):
        await retry_waiting(session, waiting)
    return None


async def retry_waiting(session: AsyncSession, waiting: WebhookEvent) -> None:
    """Have an event that came too early take its effect. Should it meet a fault, the one that it waited for stands."""
    event, said = Event.model_validate(waiting.payload), len(session.info["events"])
    try:
        async with session.begin_nested():
            await apply(session, waiting, event, *parse_effect(event))
    except Exception as error:
        del session.info["events"][said:]
        logger.warning("Webhook event %s still fails", event.id, exc_info=error)


def parse_effect(event: Event) -> tuple[Effect | None, OrderObject | None]:
    """What an event does, and what it says; nothing, of types that are no concern of ours."""
    if event.type not in EFFECTS:
        return None, None
    shape, effect = EFFECTS[event.type]
    try:
        return effect, shape.model_validate(event.data.get("object"))
    except pydantic.ValidationError as error:
        raise CannotApply(
            f"It is not as Stripe writes it: {to_validation_error(error.errors(include_url=False))}"
        ) from error


async def find_waiting(session: AsyncSession, names: Sequence[str]) -> Sequence[WebhookEvent]:
    """Events that came before what they are about; their turn is held by now.

    A refund that is of no order may be a subscriber's, of whom it knows the customer alone.
    """
    if not names:
        return ()
    early = WebhookEvent.status.in_(RETRYABLE), WebhookEvent.type.in_(EFFECTS)
    lost = WebhookEvent.type == REFUND, WebhookEvent.status == WebhookStatus.FAILED
    about = or_(*(where.in_(names) for where in SUBJECT_PATHS), and_(*lost, json_path("customer").in_(names)))
    found = select(WebhookEvent).where(*early, about).order_by(WebhookEvent.created_at, WebhookEvent.id)
    return (await session.scalars(found.with_for_update())).all()


async def lock_event(session: AsyncSession, event: Event, payload: dict[str, Any]) -> WebhookEvent:
    """The event's row, old or new, held until the transaction ends."""
    await insert_ignore(session, WebhookEvent(id=event.id, type=event.type, payload=payload))
    return (await session.scalars(select(WebhookEvent).where(WebhookEvent.id == event.id).with_for_update())).one()


def mark_failed(row: WebhookEvent, error: Exception) -> None:
    logger.info("Webhook event %s (%s) failed: %s", row.id, row.type, error)
    row.status, row.error, row.attempts = WebhookStatus.FAILED, str(error), row.attempts + 1


async def record_crash(db: Database, event: Event, payload: dict[str, Any], error: Exception) -> WebhookStatus:
    """Keep an event that met a fault of ours, whose transaction was undone, for who mends that."""
    logger.error("Webhook event %s (%s) met a fault", event.id, event.type, exc_info=error)
    async with db.writing() as session:
        row = await lock_event(session, event, payload)
        if row.status is not WebhookStatus.PROCESSED:
            mark_failed(row, CannotApply(f"A fault of this server: {type(error).__name__}; its log says more"))
        return row.status


def strip_nul(value: Any) -> Any:
    """JSON without U+0000, over which Postgres would stumble when it looks into it."""
    match value:
        case str():
            return value.replace("\0", "")
        case list():
            return [strip_nul(inner) for inner in value]
        case dict():
            return {strip_nul(key): strip_nul(inner) for key, inner in value.items()}
    return value

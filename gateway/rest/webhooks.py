"""Webhooks of other services."""

from typing import Annotated

import orjson
from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from gateway.rest.framework.responses import NO_STORE, json_response
from gateway.rest.framework.routing import create_router, raises
from gateway.rest.framework.schemas import WebhookReceipt
from gateway.state import get_state
from models.errors import APIError, InvalidSignature, NotConfigured, PayloadTooLarge, Unavailable, ValidationError
from resolvers.stripe import webhooks

router = create_router("/api/webhooks", "Webhooks", authenticated=False)

EVENT = {
    "requestBody": {
        "required": True,
        "description": "A Stripe event, with its signature in `Stripe-Signature`.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "security": [],
}
RECEIPT = orjson.dumps({"received": True})

Signature = Annotated[
    str | None, Header(alias="Stripe-Signature", description="Time and signature of the event, as Stripe sends them.")
]


@router.post(
    "/stripe",
    summary="Receive Stripe Webhook",
    response_model=WebhookReceipt,
    response_description="The event was stored.",
    openapi_extra=EVENT,
)
@raises(ValidationError, InvalidSignature, PayloadTooLarge, NotConfigured, APIError, Unavailable)
async def stripe(request: Request, signature: Signature = None) -> Response:
    """Store a Stripe event and apply it.

    The response does not tell whether the event had an effect. After 503, Stripe sends the event again.
    """
    app_state, body = get_state(request), await request.body()
    app_state.signatures.verify(body, signature)
    status = await webhooks.receive(app_state.db, parse_event(body))
    app_state.recorder.webhook_events.labels(status.value).inc()
    return json_response(RECEIPT, headers=NO_STORE)


def parse_event(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValidationError.for_fields(body="must be valid JSON") from error

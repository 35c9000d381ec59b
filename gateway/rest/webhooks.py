"""What other services tell this one."""

from typing import Annotated

import orjson
from fastapi import Header
from starlette.requests import Request
from starlette.responses import Response

from gateway.rest.framework import responses
from gateway.rest.framework.openapi import refusals
from gateway.rest.framework.routing import router_of
from gateway.rest.framework.schemas import Receipt
from gateway.wiring import get_state
from models.errors import InvalidSignature, NotConfigured, PayloadTooLarge, Refusal, Unavailable, ValidationError
from resolvers.stripe import webhooks

router = router_of("/api/webhooks", "Webhooks", admitting=False)

REFUSED = InvalidSignature, PayloadTooLarge, NotConfigured
ANYWHERE = ValidationError, Refusal, Unavailable
"""Nobody is asked who they are, nor how often they come: the signature says all that counts."""
EVENT = {
    "requestBody": {
        "required": True,
        "description": "An event, as Stripe writes and signs it.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    },
    "security": [],
}
RECEIVED = orjson.dumps({"received": True})

Signature = Annotated[str | None, Header(alias="Stripe-Signature", description="When it was signed, and how.")]


@router.post("/stripe", response_model=Receipt, responses=refusals(*REFUSED, anywhere=ANYWHERE), openapi_extra=EVENT)
async def stripe(request: Request, signature: Signature = None) -> Response:
    """Take in an event of Stripe's. Whether it took effect is in the ledger; 503 asks Stripe to send it again."""
    gateway, body = get_state(request), await request.body()
    gateway.signatures.verify(body, signature)
    status = await webhooks.receive(gateway.db, parsed(body))
    gateway.recorder.webhook_events[status.value] += 1
    return responses.json(RECEIVED, headers=responses.NO_STORE)


def parsed(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValidationError.of(body="must be valid JSON") from error

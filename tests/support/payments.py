"""A small server that answers as Stripe does for Checkout sessions, and events as Stripe writes and signs them."""

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import httpx
from stripe import WebhookSignature

KEY, SECRET, OLDER_SECRET = "sk_test_of_the_tests", "whsec_of_the_tests", "whsec_until_lately"
PRICES = {"price_once": ("payment", 1250), "price_monthly": ("subscription", 900)}
"""For each price its mode, and what one costs."""
CONFIDENTIAL_TEXT = "told by Stripe in confidence"
"""In every error of Stripe's, so that a test can see it go no further."""
PATH = "/api/webhooks/stripe"

numbers = itertools.count(1)


@dataclass
class FakeStripe:
    """What it was asked, and how it is to fail."""

    address: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """The idempotency key of each request."""
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By idempotency key."""
    failures: list[tuple[int, bytes]] = field(default_factory=list)
    """What is answered first, instead of what was asked for."""
    gate: threading.Event = field(default_factory=threading.Event)
    """Set, unless it is to keep whoever asks waiting."""
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once somebody waits."""

    @property
    def settings(self) -> dict[str, str]:
        """For a server of ours."""
        secrets = f"{SECRET},{OLDER_SECRET}"
        return {"stripe_secret_key": KEY, "stripe_api_base": self.address, "stripe_webhook_secret": secrets}

    def answer(self, authorization: str, key: str, form: dict[str, str]) -> tuple[int, bytes]:
        self.asked.append(form)
        self.keys.append(key)
        self.waiting.set()
        self.gate.wait(10)
        if authorization != f"Bearer {KEY}":
            return build_error(401, "invalid_request_error")
        if self.failures:
            return self.failures.pop(0)
        if key not in self.sessions:
            rejected = find_error(form)
            if rejected:
                return rejected
            self.sessions[key] = create_session(form)
        return 200, json.dumps(self.sessions[key]).encode()


def build_error(status: int, type: str, **more: str) -> tuple[int, bytes]:
    return status, json.dumps({"error": {"type": type, "message": CONFIDENTIAL_TEXT, **more}}).encode()


def find_error(form: dict[str, str]) -> tuple[int, bytes] | None:
    mode, _ = PRICES.get(form["line_items[0][price]"], (None, 0))
    if mode is None:
        return build_error(400, "invalid_request_error", code="resource_missing", param="line_items[0][price]")
    if mode != form["mode"]:
        return build_error(400, "invalid_request_error", param="mode")
    return None


def create_session(form: dict[str, str]) -> dict[str, Any]:
    number = next(numbers)
    amount = PRICES[form["line_items[0][price]"]][1] * int(form["line_items[0][quantity]"])
    return {
        "id": f"cs_test_{number}",
        "object": "checkout.session",
        "url": f"https://checkout.stripe.test/{number}",
        "amount_total": amount,
        "currency": "eur",
        "status": "open",
        "payment_status": "unpaid",
        "mode": form["mode"],
        "client_reference_id": form["client_reference_id"],
        "metadata": {"orderId": form["metadata[orderId]"]},
    }


@contextmanager
def open_fake_stripe() -> Iterator[FakeStripe]:
    here = FakeStripe()
    here.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            given = self.headers["Authorization"], self.headers["Idempotency-Key"], form
            status, body = (
                here.answer(*given) if self.path == "/v1/checkout/sessions" else build_error(404, "no_such_path")
            )
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Request-Id", "req_1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield here
    finally:
        here.gate.set()
        server.shutdown()
        server.server_close()


def build_event(
    type: str, about: dict[str, Any], *, created: int | None = None, id: str | None = None
) -> dict[str, Any]:
    """An event as Stripe writes it."""
    timestamp = int(time.time()) if created is None else created
    id = id or f"evt_{next(numbers)}"
    return {"id": id, "object": "event", "type": type, "created": timestamp, "data": {"object": about}}


def sign(body: bytes, secret: str = SECRET, *, at: float | None = None) -> dict[str, str]:
    """The headers that Stripe sends along."""
    timestamp = int(time.time() if at is None else at)
    signature = WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)
    return {"Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8"}


async def deliver(http: httpx.AsyncClient, build_event: dict[str, Any], secret: str = SECRET) -> httpx.Response:
    body = json.dumps(build_event).encode()
    return await http.post(PATH, content=body, headers=sign(body, secret))


def build_checkout_session(order: str, *, session: str = "cs_1", status: str = "paid", **more: Any) -> dict[str, Any]:
    """A Checkout session of an order, as `checkout.session.completed` tells of it."""
    result = {"id": session, "object": "checkout.session", "payment_status": status, "payment_intent": "pi_1"}
    ours = {"client_reference_id": order, "metadata": {"orderId": order}}
    return {**result, **ours, "amount_total": 1250, "currency": "eur", **more}

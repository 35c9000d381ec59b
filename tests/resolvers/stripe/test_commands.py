"""`gateway webhooks`, as an operator mends a dead letter with it."""

import asyncio
import json

from typer.testing import CliRunner

from gateway.cli import app
from models import Order
from tests.support.payments import build_checkout_session, build_event
from tests.support.servers import build_environment
from tests.support.writing import change_row, get_event_types


async def gateway(url: str, *arguments: str) -> tuple[int, str, str]:
    """What a command ends with, and says. It has an event loop to itself."""
    run = CliRunner().invoke
    ended = await asyncio.to_thread(run, app, ["webhooks", *arguments], env=build_environment(url))
    return ended.exit_code, ended.stdout, ended.stderr


async def test_a_dead_letter_is_seen_mended_and_replayed(server, database_url, order, tell):
    """Again and again it is the one effect."""
    id = await order()
    await tell(build_event("customer.created", {}, id="evt_other"))
    await tell(
        dead := build_event(
            "checkout.session.completed", build_checkout_session("nobody's", session="cs_7"), id="evt_dead"
        )
    )
    code, listed, _ = await gateway(database_url, "list", "--status", "FAILED")
    result = ["FAILED", "evt_dead", "checkout.session.completed", "No", "order", "belongs", "to", "cs_7"]
    assert (code, listed.split()[2:]) == (0, result)
    code, shown, _ = await gateway(database_url, "show", "evt_dead")
    kept = json.loads(shown)
    assert (code, kept["payload"], kept["status"], kept["attempts"]) == (0, dead, "FAILED", 1)
    failed = await gateway(database_url, "replay", "evt_dead")
    assert failed[::2] == (1, "evt_dead failed again: No order belongs to cs_7\n")
    await change_row(server.db, Order, id, stripe_session_id="cs_7")
    for _ in range(2):
        assert (await gateway(database_url, "replay", "evt_dead"))[:2] == (0, "evt_dead is PROCESSED\n")
    assert await get_event_types(server.db) == ["order.updated"]
    assert (await gateway(database_url, "list", "--status", "FAILED"))[:2] == (0, "There are no events\n")
    assert await gateway(database_url, "replay", "evt_none") == (1, "", "Webhook event not found\n")

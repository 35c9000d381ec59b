"""Whatever a client says, a socket answers in its protocol, and the server goes on."""

import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import DatabaseFactory
from tests.support.live_server import LiveServer, open_live_server
from tests.support.subscribers import open_socket

pytestmark = pytest.mark.anyio

EXAMPLES = int(os.environ.get("SOCKET_EXAMPLES", "60"))
CODES = {4400, 4401, 4409, 4429}
ids = st.sampled_from(["1", "2", "", 3, None])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
requests = st.fixed_dictionaries(
    {
        "query": st.sampled_from(["{ __typename }", "subscription { postEvents { id } }", "{", "mutation { nope }"])
        | anything
    },
    optional={"variables": anything, "operationName": anything, "extensions": anything},
)
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(["connection_init", "ping", "pong", "subscribe", "complete", "next", "start"]) | anything},
    optional={"id": ids, "payload": requests | st.none() | anything},
)
frames = messages.map(json.dumps) | anything.map(json.dumps) | st.text(max_size=50) | st.binary(max_size=50)
sane = st.just(json.dumps({"type": "connection_init"}))


@pytest.fixture(scope="module")
async def live(anyio_backend: str, database_factory: DatabaseFactory) -> AsyncIterator[LiveServer]:
    async with open_live_server(await database_factory.create("sqlite", "nonsense")) as server:
        yield server


@given(frames_sent=st.tuples(sane | frames, st.lists(frames, max_size=6)))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="SOCKET_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
async def test_nonsense_is_answered_by_the_protocol(
    live: LiveServer, caplog: pytest.LogCaptureFixture, frames_sent: tuple[Any, list[Any]]
) -> None:
    """Messages of the protocol, or a closing with one of its codes; never a trace in the log."""
    first, others = frames_sent
    caplog.clear()
    async with open_socket(live.address, init=False) as client:
        for frame in (first, *others):
            await client.send_if_open(frame)
        await client.send_if_open('{"type":"ping","payload":{"last":true}}')
        received = await client.receive_until({"type": "pong", "payload": {"last": True}})
        assert {message["type"] for message in received} <= {"connection_ack", "pong", "next", "error", "complete"}
        assert client.connection.close_code in CODES | {None}
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    async with open_socket(live.address) as client:
        assert await client.execute("{ __typename }") == "Query"

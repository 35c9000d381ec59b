"""Work that is done now and then goes on whatever becomes of it, and ends with the scope."""

import asyncio
import logging

import pytest

from gateway.tasks.periodic import run_periodically
from models.errors import Unavailable
from tests.support.waiting import wait_until


@pytest.mark.parametrize(
    ("failure", "logged"),
    [
        (None, []),
        (Unavailable(), ["Postponed: tidy. Storage or the database is unavailable; 2 times in a row now"]),
        (OSError("full"), ["Failed to tidy; the next run tries again"] * 2),
    ],
)
async def test_work_is_tried_again_whatever_becomes_of_it(failure, logged, caplog: pytest.LogCaptureFixture):
    """What nobody expected is told of at once; the database being away others tell of already, unless it lasts."""
    caplog.set_level(logging.INFO, "gateway")
    times = 0

    async def tidy() -> None:
        nonlocal times
        times += 1
        if failure and times <= 2:
            raise failure

    async with run_periodically(tidy, 0.001, "tidy"):
        await wait_until(lambda: times > 3)
    assert [record.message for record in caplog.records if record.name == "gateway.background"] == logged
    assert "tidy" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_what_is_always_put_off_is_told_of_ever_more_rarely(caplog: pytest.LogCaptureFixture):
    """And from the beginning, once it was done in between."""
    caplog.set_level(logging.INFO, "gateway")
    times = 0

    async def tidy() -> None:
        nonlocal times
        times += 1
        if times != 10:
            raise Unavailable

    async with run_periodically(tidy, 0.001, "tidy"):
        await wait_until(lambda: times > 13)
    result = [record.args for record in caplog.records if record.name == "gateway.background"]
    assert result[:4] == [("tidy", 2), ("tidy", 4), ("tidy", 8), ("tidy", 2)]

"""Where limits are counted: in this process and in Redis."""

import pytest

from gateway.limits import sliding_window
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@pytest.fixture
def long_redis_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Redis on a busy machine too, where a server would fall back to its own memory."""
    monkeypatch.setattr(sliding_window, "REDIS_TIMEOUT_SECONDS", TEST_TIMEOUT_SECONDS)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest, long_redis_timeout: None) -> dict[str, str]:
    """Settings of a server that counts in its own memory, and of one that counts in Redis."""
    return {"redis_url": request.getfixturevalue("redis_url")} if request.param == "redis" else {}

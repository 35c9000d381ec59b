"""Rate limits: how often, how much, how many.

slowapi's decorators declare which endpoint has which limit; the settings say how many requests it allows, in the
grammar of `limits`, on which slowapi is built. slowapi is never enabled: it checks its storage synchronously, which
with Redis would block the event loop. `Limits` checks instead. slowapi has no public way to read a declaration back, so
the decorators also set `endpoint.rate_limit`.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any, TypeVar
from uuid import UUID

import slowapi
from limits import parse_many
from redis.asyncio import Redis

from gateway.http.client_address import rate_limit_address
from gateway.http.request_state import RequestState
from gateway.limits.headers import COST
from gateway.limits.sliding_window import LimitStatus, RedisSlidingWindowLimiter, SlidingWindowLimiter, Window
from gateway.settings import OFF, Settings
from models import Viewer
from models.errors import RateLimited

API, AUTH, UPLOAD, EXPENSIVE = ENDPOINT_LIMITS = "api", "auth", "upload", "expensive"
KEY = "key"
"""The limit that applies to an API key in place of `api`."""
REQUEST_LIMITS = (*ENDPOINT_LIMITS, KEY)

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

slowapi_limiter = slowapi.Limiter(key_func=lambda request: "", enabled=False)
slowapi_limiter.enabled = False  # its environment variable RATELIMIT_ENABLED overrides the argument


def setting_name(limit: str) -> str:
    return f"rate_limit_{limit}"


def rate_limit(name: str) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that declares an endpoint's limit in slowapi and in `endpoint.rate_limit`."""
    declare = slowapi_limiter.shared_limit(Settings.model_fields[setting_name(name)].default, scope=name)

    def decorate(endpoint: Endpoint) -> Endpoint:
        endpoint.rate_limit = name
        return declare(endpoint)

    return decorate


api, auth, upload, expensive = map(rate_limit, ENDPOINT_LIMITS)


class Limits:
    """Checks requests and GraphQL costs against the settings: in Redis if there is one, else in this process."""

    def __init__(self, settings: Settings, redis: Redis | None = None) -> None:
        self.windows = {name: parse_windows(getattr(settings, setting_name(name))) for name in (*REQUEST_LIMITS, COST)}
        self.limiter = RedisSlidingWindowLimiter(redis) if redis else SlidingWindowLimiter()
        self.outcomes = Counter(dict.fromkeys(product(self.windows, (True, False)), 0))
        """How often each limit allowed (True) or rejected (False) a request. All start at 0 for the metrics."""

    async def check(self, name: str, key: str, state: RequestState, cost: int = 1) -> None:
        """Count a request, or raise `RateLimited`. `auth` counts by address whatever `key` is.

        Accounts are free to register: counted by viewer, each would bring further guesses at a password.
        """
        if name == AUTH:
            key = state.client_key
        elif name == API and key.startswith(f"{KEY}:"):
            name = KEY
        await self._hit(name, key, state, cost)

    async def charge_cost(self, state: RequestState, cost: int) -> None:
        """Deduct an operation's cost from the caller's budget, which all protocols share, or raise `RateLimited`."""
        try:
            await self._hit(COST, state.caller, state, cost)
        except RateLimited as error:
            # A GraphQL response does not take headers from its errors.
            state.add_header("retry-after", str(error.details["retryAfter"]))
            raise

    async def _hit(self, name: str, key: str, state: RequestState, cost: int) -> None:
        windows = self.windows[name]
        if not windows:
            return
        is_allowed, status = await self.limiter.hit(windows, f"{name}/{key}", cost)
        state.limit_statuses[name] = status
        self.outcomes[name, is_allowed] += 1
        if not is_allowed:
            raise RateLimited(retry_after(status))


def parse_windows(setting: str) -> list[Window]:
    """Return a setting's windows without duplicates, each of which would count every request once more."""
    if setting == OFF:
        return []
    return [*dict.fromkeys(Window(item.amount, item.get_expiry()) for item in parse_many(setting))]


def retry_after(status: LimitStatus) -> int:
    """Return the seconds until a rejected hit would fit, rounded up."""
    return max(1, math.ceil(status.reset - time.time()))


def rate_limit_key(viewer: Viewer | None, address: str, key_id: UUID | None = None) -> str:
    """Return what a request is counted by: its API key, else its viewer, else its address (IPv6: the /64)."""
    if key_id:
        return f"{KEY}:{key_id}"
    return f"viewer:{viewer.id}" if viewer else f"address:{rate_limit_address(address)}"

"""The rate limits: slowapi's decorators say which endpoint has which, the settings say how many.

slowapi would check them synchronously, which with Redis stops the event loop for everyone. So the check is ours, for
limits in the grammar of `limits`, slowapi's own foundation.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any
from uuid import UUID

import slowapi
from limits import parse_many
from redis.asyncio import Redis

from gateway.http.client_address import counted
from gateway.http.request_state import Visit
from gateway.limits.cost_budget import Budgets, SharedBudgets
from gateway.limits.sliding_window import Shared, Standing, Window, Windows
from gateway.settings import OFF, Settings
from models import Viewer
from models.errors import RateLimited

API, AUTH, UPLOAD, EXPENSIVE = NAMES = "api", "auth", "upload", "expensive"
COST = "cost"
KEY = "key"
"""The limit that machines with an API key have instead of `api`."""


class Declarations(slowapi.Limiter):
    """Which endpoints are limited. It is never enabled: it declares, and `Limits` checks."""

    def __init__(self) -> None:
        super().__init__(key_func=lambda request: "", enabled=False)

    def of(self, endpoint: Callable[..., Any]) -> str | None:
        """The name of an endpoint's limit."""
        declared = self._route_limits.get(f"{endpoint.__module__}.{endpoint.__name__}")
        return declared[0].scope if declared else None


def setting(name: str) -> str:
    return f"rate_limit_{name}"


declarations = Declarations()
api, auth, upload, expensive = (
    declarations.shared_limit(Settings.model_fields[setting(name)].default, scope=name) for name in NAMES
)


class Limits:
    """Counts requests: in Redis where there is one, and in this process while there is none."""

    def __init__(self, settings: Settings, redis: Redis | None = None) -> None:
        self.of = {name: windows(getattr(settings, setting(name))) for name in (*NAMES, KEY)}
        (self.budget,) = windows(settings.rate_limit_cost) or [None]
        self.windows = Shared(redis) if redis else Windows()
        self.outcomes = Counter(dict.fromkeys(product((*NAMES, KEY, COST), (True, False)), 0))
        """How often each limit let a request pass, and how often not; from 0 on, so that the first time shows."""
        self.budgets = SharedBudgets(self.windows) if redis else Budgets()

    async def count(self, name: str, caller: str, visit: Visit, cost: int = 1) -> None:
        """Count a request of a caller's, or refuse it; the answer says where they stand either way."""
        if name == AUTH:
            caller = visit.stranger  # accounts are free: one who guesses would be another with every few guesses
        if name == API and caller.startswith(KEY):
            name = KEY
        limits = self.of[name]
        if not limits:
            return
        passed, standing = await self.windows.spend(limits, f"{name}/{caller}", cost)
        visit.standings[name] = standing
        self.outcomes[name, passed] += 1
        if not passed:
            raise RateLimited(wait(standing) if cost == 1 else max(window.seconds for window in limits))

    async def charge(self, visit: Visit, points: int) -> None:
        """Take what an operation costs from the one budget that a caller has over all protocols, or refuse it."""
        visit.points += points
        if self.budget is None:
            return
        passed, visit.standings[COST] = await self.budgets.spend(self.budget, f"{COST}/{visit.caller}", points)
        self.outcomes[COST, passed] += 1
        if not passed:
            refusal = RateLimited(wait(visit.standings[COST]))
            visit.add_header("retry-after", str(refusal.details["retryAfter"]))
            raise refusal


def windows(text: str) -> list[Window]:
    return [] if text == OFF else [Window(item.amount, item.get_expiry()) for item in parse_many(text)]


def told(standings: Mapping[str, Standing]) -> bytes:
    """Lines of headers that say where a caller stands, by the IETF's draft and by the custom before it, which knows
    requests only, and one limit: of several that count one request, the one that was looked at last."""
    now, numbers, windows, by_custom = time.time(), [], [], ()
    for name, (window, remaining, reset) in standings.items():
        windows.append(window)
        numbers += remaining, max(math.ceil(reset - now), 0)
        if name != COST:
            by_custom = remaining, math.ceil(reset)
    return spelled(*standings, *windows) % (*numbers, *by_custom)


CUSTOM = "x-ratelimit-limit: {}\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"


@lru_cache(64)
def spelled(*names_and_windows: Any) -> bytes:
    """The lines for these limits, whoever asks; with the numbers still to be put in."""
    half = len(names_and_windows) // 2
    limits = [*zip(names_and_windows[:half], names_and_windows[half:], strict=True)]
    if not limits:
        return b""
    standings = ", ".join(f'"{name}";r=%d;t=%d' for name, _ in limits)
    policies = ", ".join(f'"{name}";q={window.limit};w={window.seconds}' for name, window in limits)
    custom = [CUSTOM.format(window.limit) for name, window in limits if name != COST]
    return f"ratelimit: {standings}\r\nratelimit-policy: {policies}\r\n{''.join(custom[-1:])}".encode()


def wait(standing: Standing) -> int:
    """Whole seconds after which there is room for one."""
    return max(1, math.floor(standing.reset - time.time() + 0.001) + 1)


def caller(viewer: Viewer | None, address: str, key_id: UUID | None = None) -> str:
    """Whom a request counts for; an account's API keys count each for itself."""
    if key_id:
        return f"{KEY}:{key_id}"
    return f"viewer:{viewer.id}" if viewer else f"address:{counted(address)}"

"""Response headers that tell clients their rate limits.

`RateLimit` and `RateLimit-Policy` follow draft-ietf-httpapi-ratelimit-headers; `X-RateLimit-*` is the older convention.
"""

import math
import time
from collections.abc import Mapping
from functools import lru_cache

from gateway.limits.sliding_window import LimitStatus, Window

COST = "cost"
"""The limit on GraphQL cost points. `X-RateLimit-*` leaves it out: clients expect a number of requests there."""
CUSTOM_LINES = "x-ratelimit-limit: {}\r\nx-ratelimit-remaining: %d\r\nx-ratelimit-reset: %d\r\n"


def build_headers(statuses: Mapping[str, LimitStatus]) -> bytes:
    """Return the header lines for a request's limits, by name; empty if no limit applied.

    `RateLimit` has seconds until more is available, `X-RateLimit-Reset` the Unix time. If several limits counted the
    request, `X-RateLimit-*` has the last one.
    """
    if not statuses:
        return b""
    now, numbers, custom = time.time(), [], ()
    for name, (_, remaining, reset) in statuses.items():
        numbers += remaining, max(math.ceil(reset - now), 0)
        if name != COST:
            custom = remaining, math.ceil(reset)
    return header_template(tuple((name, status.window) for name, status in statuses.items())) % (*numbers, *custom)


@lru_cache(64)
def header_template(limits: tuple[tuple[str, Window], ...]) -> bytes:
    """Return the header lines for limits, with `%d` in place of the numbers of one key."""
    statuses = ", ".join(f'"{name}";r=%d;t=%d' for name, _ in limits)
    policies = ", ".join(f'"{name}";q={window.limit};w={window.seconds}' for name, window in limits)
    custom = [CUSTOM_LINES.format(window.limit) for name, window in limits if name != COST]
    return f"ratelimit: {statuses}\r\nratelimit-policy: {policies}\r\n{''.join(custom[-1:])}".encode()

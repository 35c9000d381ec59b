"""The cache metrics of `/metrics`."""

import re

from tests.support.servers import Server

LINE = re.compile(r'^dovetail_cache_(\w+?)(?:_total)?\{cache="(\w+)"\} ([\d.e+]+)$', re.MULTILINE)


async def get_cache_metrics(server: Server) -> dict[str, dict[str, float]]:
    """Return hits, misses, entries and bytes of each cache."""
    found: dict[str, dict[str, float]] = {}
    for name, cache, value in LINE.findall((await server.anonymous.get("/metrics")).text):
        found.setdefault(cache, {})[name] = float(value)
    return found


async def get_response_cache_hits(server: Server) -> float:
    return (await get_cache_metrics(server))["response"]["hits"]

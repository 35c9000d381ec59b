"""What `/metrics` says of a server's caches."""

import re

from tests.support.servers import Server

LINE = re.compile(r'^dovetail_cache_(\w+?)(?:_total)?\{cache="(\w+)"\} ([\d.e+]+)$', re.MULTILINE)


async def get_cache_metrics(server: Server) -> dict[str, dict[str, float]]:
    """Of each cache: hits, misses, entries, bytes."""
    found: dict[str, dict[str, float]] = {}
    for name, cache, value in LINE.findall((await server.anonymous.get("/metrics")).text):
        found.setdefault(cache, {})[name] = float(value)
    return found


async def get_response_cache_hits(server: Server) -> float:
    return (await get_cache_metrics(server))["response"]["hits"]

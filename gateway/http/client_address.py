"""The client's address and the server's own origin. Forwarding headers count only if a trusted proxy sent them."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from starlette.requests import HTTPConnection

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]

UNKNOWN_ADDRESS = "unknown"
"""The address of all clients over a Unix socket: they have none, and share their rate limits."""
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
WEBSOCKET_SCHEMES = {"ws": "http", "wss": "https"}


@lru_cache(1024)
def is_trusted_proxy(proxies: Networks, address: str) -> bool:
    """Cached, because parsing an address takes as long as checking a rate limit."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed  # a dual-stack socket maps IPv4 addresses to IPv6
    return any(parsed in network for network in proxies)


def client_address(connection: HTTPConnection, proxies: Networks) -> str:
    """Return the nearest address that is not a trusted proxy. Clients can forge those further away."""
    address = connection.scope["client"][0] if connection.scope.get("client") else UNKNOWN_ADDRESS
    if not proxies:
        return address
    hops = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    while hops and is_trusted_proxy(proxies, address):
        try:
            hop = hops.pop().strip()
            ip_address(hop)
        except ValueError:
            break
        address = hop
    return address


@lru_cache(4096)
def rate_limit_address(address: str) -> str:
    """Return the network that shares its rate limits: the /64 of an IPv6 address, which one customer has at least."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))


def request_scheme(connection: HTTPConnection, proxies: Networks) -> str:
    """Return `https` or `http`: the client's scheme, or for a WebSocket that of its page."""
    scheme = connection.scope["scheme"]
    if proxies and connection.client and is_trusted_proxy(proxies, connection.client.host):
        scheme = connection.headers.get("x-forwarded-proto", scheme).rpartition(",")[2].strip().lower()
    return WEBSOCKET_SCHEMES.get(scheme, scheme)


def own_origin(connection: HTTPConnection, proxies: Networks) -> str:
    """Return the server's origin, as the client addressed it."""
    scheme = request_scheme(connection, proxies)
    host = connection.headers.get("host", "").lower()
    return f"{scheme}://{host.removesuffix(DEFAULT_PORTS.get(scheme, ':'))}"

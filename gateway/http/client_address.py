"""Where a request comes from, and which address of ours it was sent to. Only trusted proxies may say otherwise."""

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from starlette.requests import HTTPConnection

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]

UNKNOWN = "unknown"
"""Callers over a Unix socket have no address, and are one caller."""
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
OF_PAGES = {"ws": "http", "wss": "https"}
"""The schemes of the pages that open WebSockets."""


@lru_cache(1024)
def is_trusted_proxy(proxies: Networks, address: str) -> bool:
    """Kept for those seen last: reading an address takes as long as counting its request."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed  # as a socket for both has it
    return any(parsed in network for network in proxies)


def client_address(connection: HTTPConnection, proxies: Networks) -> str:
    """The nearest address that is no proxy of ours: those further away are hearsay."""
    address = connection.scope["client"][0] if connection.scope.get("client") else UNKNOWN
    if not proxies:
        return address
    hops = ",".join(connection.headers.getlist("x-forwarded-for")).split(",")
    while hops and is_trusted_proxy(proxies, address):
        hop = hops.pop().strip()
        if not is_address(hop):
            break
        address = hop
    return address


@lru_cache(4096)
def rate_limit_address(address: str) -> str:
    """Whom an address stands for. One customer has a /64 of IPv6 at the least; IPv4 may come as IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Network((int(parsed), 64), strict=False))


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def request_scheme(connection: HTTPConnection, proxies: Networks) -> str:
    """`https` or `http`: by what the client came, or its page did."""
    scheme = connection.scope["scheme"]
    if proxies and connection.client and is_trusted_proxy(proxies, connection.client.host):
        scheme = connection.headers.get("x-forwarded-proto", scheme).rpartition(",")[2].strip().lower()
    return OF_PAGES.get(scheme, scheme)


def own_origin(connection: HTTPConnection, proxies: Networks) -> str:
    """This server's origin, as the client addressed it."""
    scheme = request_scheme(connection, proxies)
    host = connection.headers.get("host", "").lower()
    return f"{scheme}://{host.removesuffix(DEFAULT_PORTS.get(scheme, ':'))}"

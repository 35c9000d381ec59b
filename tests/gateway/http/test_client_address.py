"""Where a request comes from, as far as it can be believed."""

from ipaddress import ip_network

import pytest
from starlette.requests import HTTPConnection

from gateway.http.client_address import client_address, own_origin

PROXIES = (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def connection(peer: str | None, **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "scheme": "http", "client": peer and (peer, 1), "headers": raw})


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("127.0.0.1", "1.1.1.1", "127.0.0.1"),
        ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.2.2.2", "1.1.1.1"),
        ("10.0.0.1", "10.3.3.3, 10.2.2.2", "10.3.3.3"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", "1.1.1.1", "1.1.1.1"),
        (None, "1.1.1.1", "unknown"),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours(peer: str | None, forwarded: str, address: str) -> None:
    """What lies beyond it anybody may have written."""
    assert client_address(connection(peer, x_forwarded_for=forwarded), PROXIES) == address


def test_without_proxies_nobody_is_believed() -> None:
    """The default: loopback is not trusted either."""
    assert client_address(connection("127.0.0.1", x_forwarded_for="1.1.1.1"), ()) == "127.0.0.1"


@pytest.mark.parametrize(
    ("peer", "host", "origin"),
    [
        ("10.0.0.1", "Example.com", "https://example.com"),
        ("10.0.0.1", "example.com:443", "https://example.com"),
        ("9.9.9.9", "example.com", "http://example.com"),
        ("9.9.9.9", "example.com:80", "http://example.com"),
        ("9.9.9.9", "example.com:8000", "http://example.com:8000"),
    ],
)
def test_our_own_origin_is_the_one_we_were_asked_at(peer: str, host: str, origin: str) -> None:
    """TLS that ends at a proxy counts where the proxy is trusted."""
    assert own_origin(connection(peer, host=host, x_forwarded_proto="https"), PROXIES) == origin

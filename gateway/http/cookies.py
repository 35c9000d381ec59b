"""Cookie parsing, as strict as browsers are about names (RFC 6265bis).

Browsers protect names that begin with `__Host-` byte by byte. Starlette strips all Unicode white space from a name, so
it would take `\\xa0__Host-name`, which a sibling domain can set, for the protected name.
"""

from collections.abc import Iterable, Mapping

from starlette.requests import HTTPConnection

from gateway.http.request_state import get_request_state

WHITESPACE = " \t"
"""The only characters that browsers strip from both ends of a name or a value (section 5.6)."""


def get_cookies(connection: HTTPConnection) -> Mapping[str, str]:
    """Return the cookies of a request, parsed once."""
    state = get_request_state(connection.scope)
    if state.cookies is None:
        state.cookies = parse_cookies(connection.headers.getlist("cookie"))
    return state.cookies


def parse_cookies(lines: Iterable[str]) -> dict[str, str]:
    """Return the values by name, from `Cookie` headers that are decoded as latin-1: one character for each byte.

    A name that occurs twice gets the empty value: two servers have set it, and it is unknown which value is ours.
    """
    cookies: dict[str, str] = {}
    for line in lines:
        for pair in line.split(";"):
            name, equals, value = pair.partition("=")
            if equals:  # without one it is the value of a nameless cookie
                name = name.strip(WHITESPACE)
                cookies[name] = "" if name in cookies else unquote(value.strip(WHITESPACE))
    return cookies


def unquote(value: str) -> str:
    """Remove the quotation marks around a value. No value that we read contains any."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value

"""Cookies as RFC 6265bis has them written, read no more kindly than browsers guard them.

Browsers tell what others may not set, such as `__Host-` names, by a name's very bytes. Whoever reads kindly, as
Starlette does, who strips all that Unicode has for a space, takes a neighbour's `\\xa0__Host-name` for the real one.
"""

from starlette.requests import HTTPConnection

BLANK = " \t"
"""All that a browser takes from either end of a name or a value (section 5.6)."""


def cookies_of(connection: HTTPConnection) -> dict[str, str]:
    """Their values by their names, in latin-1, which is one letter for each byte.

    A name that comes twice has the empty value: two set it, and nothing says which of them was us.
    """
    cookies: dict[str, str] = {}
    for line in connection.headers.getlist("cookie"):
        for pair in line.split(";"):
            name, equals, value = pair.partition("=")
            if equals:  # without, it is the value of a cookie without a name
                name = name.strip(BLANK)
                cookies[name] = "" if name in cookies else bare(value.strip(BLANK))
    return cookies


def bare(value: str) -> str:
    """Without the quotation marks that it may stand in; no value that we look for has any of its own."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value

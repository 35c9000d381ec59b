"""What a client says that it is: its name and version, which Apollo's clients send by themselves."""

from collections.abc import Mapping
from typing import NamedTuple

HEADERS = [(f"{prefix}-client-name", f"{prefix}-client-version") for prefix in ("graphql", "apollographql")]
LONGEST_NAME, LONGEST_VERSION = 64, 32


class Client(NamedTuple):
    """Empty texts of one that says nothing."""

    name: str = ""
    version: str = ""


def parse_client(headers: Mapping[str, str]) -> Client:
    for name, version in HEADERS:
        if name in headers:
            return Client(sanitize(headers[name], LONGEST_NAME), sanitize(headers.get(version, ""), LONGEST_VERSION))
    return Client()


def sanitize(text: str, longest: int) -> str:
    """What may be kept and printed of what anybody may have sent."""
    return "".join(character for character in text if character.isprintable()).strip()[:longest]

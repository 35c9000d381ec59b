"""The name and version that a client sends in headers, as Apollo's clients do by default."""

from collections.abc import Mapping
from typing import NamedTuple

HEADERS = [(f"{prefix}-client-name", f"{prefix}-client-version") for prefix in ("graphql", "apollographql")]
MAX_NAME_LENGTH, MAX_VERSION_LENGTH = 64, 32


class Client(NamedTuple):
    """A client's name and version; empty strings if it did not send them."""

    name: str = ""
    version: str = ""


def parse_client(headers: Mapping[str, str]) -> Client:
    for name, version in HEADERS:
        if name in headers:
            version_text = headers.get(version, "")
            return Client(sanitize(headers[name], MAX_NAME_LENGTH), sanitize(version_text, MAX_VERSION_LENGTH))
    return Client()


def sanitize(text: str, max_length: int) -> str:
    """Remove unprintable characters and truncate the text, which any client may choose."""
    return "".join(character for character in text if character.isprintable()).strip()[:max_length]

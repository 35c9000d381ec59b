"""The manifests that clients' build tools write: documents, each under the id that it will be asked for by.

Apollo's `generate-persisted-query-manifest` has a form of its own; Relay's `persisted_queries.json`, like what other
tools write, is an object of texts by id.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.persisted.resolver import digest
from gateway.persisted.trusted_documents import LONGEST_ID, PREFIX, is_id

APOLLO = "apollo-persisted-query-manifest"


class InvalidManifest(ValueError):
    """A file that no documents can be taken from."""


def documents_of(content: bytes) -> list[tuple[str, str]]:
    """The ids and texts of a manifest."""
    try:
        manifest = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidManifest(f"It is not JSON: {error}") from error
    entries = parse_apollo(manifest) if is_apollo(manifest) else parse_plain(manifest)
    if not entries:
        raise InvalidManifest("It holds no documents")
    return entries


def is_apollo(manifest: Any) -> bool:
    return isinstance(manifest, dict) and (manifest.get("format") == APOLLO or "operations" in manifest)


def parse_apollo(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    if manifest.get("format") != APOLLO or manifest.get("version") != 1:
        raise InvalidManifest(f"Its format is not {APOLLO}, version 1")
    operations = manifest.get("operations")
    if not isinstance(operations, list) or not all(isinstance(one, dict) for one in operations):
        raise InvalidManifest("It has no list of operations")
    entries = [(one.get("id"), one.get("body")) for one in operations]
    if not all(isinstance(text, str) for entry in entries for text in entry):
        raise InvalidManifest("It has operations without an id or a body")
    return entries


def parse_plain(manifest: Any) -> list[tuple[str, str]]:
    if not isinstance(manifest, dict) or not all(isinstance(text, str) for text in manifest.values()):
        raise InvalidManifest("It is neither Apollo's manifest, nor an object of documents by id, such as Relay's")
    return list(manifest.items())


def invalid_ids(entries: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Which ids cannot be trusted, and why."""
    texts: dict[str, str] = {}
    for id, text in entries:
        if not is_id(id):
            yield id, f"an id has 1 to {LONGEST_ID} characters, and no space among them"
        if id.startswith(PREFIX) and id.removeprefix(PREFIX) != digest(text):
            yield id, "is not the SHA-256 of its document"
        if texts.setdefault(id, text) != text:
            yield id, "stands for two documents"

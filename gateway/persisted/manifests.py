"""Parsing of the manifests that clients' build tools write: the text of each document by its id.

Apollo's `generate-persisted-query-manifest` has its own format. Relay's `persisted_queries.json`, and what other tools
write, is an object of texts by id.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from gateway.persisted.resolver import digest
from gateway.persisted.trusted_documents import ID_PREFIX, MAX_ID_LENGTH, is_id

APOLLO_FORMAT = "apollo-persisted-query-manifest"


class InvalidManifest(ValueError):
    """A file that is not a manifest of documents."""


def parse_manifest(content: bytes) -> list[tuple[str, str]]:
    """Return the ids and texts of a manifest. Raises `InvalidManifest`."""
    try:
        manifest = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidManifest(f"The manifest is not JSON: {error}") from error
    entries = parse_apollo(manifest) if is_apollo(manifest) else parse_plain(manifest)
    if not entries:
        raise InvalidManifest("The manifest contains no documents")
    return entries


def is_apollo(manifest: Any) -> bool:
    return isinstance(manifest, dict) and (manifest.get("format") == APOLLO_FORMAT or "operations" in manifest)


def parse_apollo(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    if manifest.get("format") != APOLLO_FORMAT or manifest.get("version") != 1:
        raise InvalidManifest(f"The manifest's format is not {APOLLO_FORMAT}, version 1")
    operations = manifest.get("operations")
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise InvalidManifest("The manifest has no list of operations")
    entries = [(operation.get("id"), operation.get("body")) for operation in operations]
    if not all(isinstance(text, str) for entry in entries for text in entry):
        raise InvalidManifest("The manifest has an operation without an id or a body")
    return entries


def parse_plain(manifest: Any) -> list[tuple[str, str]]:
    if not isinstance(manifest, dict) or not all(isinstance(text, str) for text in manifest.values()):
        raise InvalidManifest("The manifest must be Apollo's, or an object of documents by id, such as Relay's")
    return list(manifest.items())


def invalid_ids(entries: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the ids that cannot be trusted, each with the reason."""
    texts: dict[str, str] = {}
    for id, text in entries:
        if not is_id(id):
            yield id, f"an id must have 1 to {MAX_ID_LENGTH} printable characters and no spaces"
        if id.startswith(ID_PREFIX) and id.removeprefix(ID_PREFIX) != digest(text):
            yield id, "is not the SHA-256 of its document"
        if texts.setdefault(id, text) != text:
            yield id, "is used for two documents"

"""Validation of documents against a schema: a manifest's before they are trusted, those in use before it changes."""

from collections.abc import Iterator
from dataclasses import dataclass

import graphql
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import parse_and_validate
from gateway.graphql.errors import RequestError
from gateway.persisted.manifests import invalid_ids
from gateway.persisted.resolver import digest
from gateway.persisted.trusted_documents import ID_PREFIX
from resolvers.document_usage import DocumentUsage
from resolvers.trusted_documents import TrustedDocument


class InvalidDocuments(ValueError):
    """Documents that cannot be trusted, with one line for each reason."""


@dataclass(frozen=True, slots=True)
class BrokenDocument:
    """A document that is invalid in a new schema."""

    usage: DocumentUsage
    reasons: list[str]


def validate_manifest(
    schema: GraphQLSchema, limits: DocumentLimits, entries: list[tuple[str, str]]
) -> list[TrustedDocument]:
    """Return a manifest's documents. Raises `InvalidDocuments` with every error if one of them is invalid."""
    invalid, documents = list(invalid_ids(entries)), []
    for id, text in dict(entries).items():
        document, errors = validate_document(schema, limits, text)
        invalid += [(id, error) for error in errors]
        if document is not None:
            documents.append(TrustedDocument(id.removeprefix(ID_PREFIX), digest(text), text, operation_name(document)))
    if invalid:
        raise InvalidDocuments("\n".join(f"{id}: {reason}" for id, reason in invalid))
    return documents


def validate_document(
    schema: GraphQLSchema, limits: DocumentLimits, text: str
) -> tuple[DocumentNode | None, list[str]]:
    """Return the parsed document, or None and the error messages."""
    try:
        document = parse_and_validate(schema, limits, text)
    except RequestError as error:
        return None, [each.message for each in error.errors]
    except RecursionError:
        return None, ["is nested too deeply"]
    return (document, []) if operations(document) else (None, ["has no operation"])


def operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


def operation_name(document: DocumentNode) -> str | None:
    """Return the name of the document's operation; None if it has several, or one without a name."""
    names = [node.name and node.name.value for node in operations(document)]
    return names[0] if len(names) == 1 else None


def find_broken_documents(
    old: GraphQLSchema, new: GraphQLSchema, limits: DocumentLimits, usages: list[DocumentUsage]
) -> Iterator[BrokenDocument]:
    """Yield the documents that are valid in the old schema and invalid in the new one."""
    for usage in usages:
        _, reasons = validate_document(new, limits, usage.body)
        if reasons and not validate_document(old, limits, usage.body)[1]:
            yield BrokenDocument(usage, reasons)


def find_breaking_changes(old: GraphQLSchema, new: GraphQLSchema) -> list[str]:
    """Describe the changes that could break a client, even if none uses what changed."""
    return [change.description for change in graphql.find_breaking_changes(old, new)]

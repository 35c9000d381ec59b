"""Documents against a schema: a manifest's before they are trusted, the ledger's before the schema changes."""

from collections.abc import Iterator
from dataclasses import dataclass

import graphql
from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode

from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import parse_and_validate
from gateway.graphql.errors import RequestError
from gateway.persisted.manifests import invalid_ids
from gateway.persisted.resolver import digest
from gateway.persisted.trusted_documents import PREFIX
from resolvers.document_usage import DocumentUsage
from resolvers.trusted_documents import TrustedDocument


class InvalidDocuments(ValueError):
    """Why documents cannot be trusted: a line for each reason."""


@dataclass(frozen=True, slots=True)
class BrokenDocument:
    """A document that a schema no longer answers."""

    asked: DocumentUsage
    why: list[str]


def validate_manifest(
    schema: GraphQLSchema, limits: DocumentLimits, entries: list[tuple[str, str]]
) -> list[TrustedDocument]:
    """A manifest's documents, if all of them may be trusted; else everything that is wrong with them, at once."""
    wrong, documents = list(invalid_ids(entries)), []
    for id, text in dict(entries).items():
        document, errors = validate_document(schema, limits, text)
        wrong += [(id, error) for error in errors]
        if document is not None:
            documents.append(TrustedDocument(id.removeprefix(PREFIX), digest(text), text, name_of(document)))
    if wrong:
        raise InvalidDocuments("\n".join(f"{id}: {why}" for id, why in wrong))
    return documents


def validate_document(
    schema: GraphQLSchema, limits: DocumentLimits, text: str
) -> tuple[DocumentNode | None, list[str]]:
    """A document, or what is wrong with it."""
    try:
        document = parse_and_validate(schema, limits, text)
    except RequestError as refused:
        return None, [error.message for error in refused.errors]
    except RecursionError:
        return None, ["is nested too deeply"]
    return (document, []) if operations(document) else (None, ["has no operation"])


def operations(document: DocumentNode) -> list[OperationDefinitionNode]:
    return [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]


def name_of(document: DocumentNode) -> str | None:
    """The name of its operation, if it has just one."""
    names = [node.name and node.name.value for node in operations(document)]
    return names[0] if len(names) == 1 else None


def find_broken_documents(
    old: GraphQLSchema, new: GraphQLSchema, limits: DocumentLimits, asked: list[DocumentUsage]
) -> Iterator[BrokenDocument]:
    """The documents that the old schema answers and the new one would not."""
    for one in asked:
        _, why = validate_document(new, limits, one.body)
        if why and not validate_document(old, limits, one.body)[1]:
            yield BrokenDocument(one, why)


def find_breaking_changes(old: GraphQLSchema, new: GraphQLSchema) -> list[str]:
    """The changes that could break a client, whether or not one asks for what changed."""
    return [change.description for change in graphql.find_breaking_changes(old, new)]

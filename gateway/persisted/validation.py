"""Documents against a schema: a manifest's before they are trusted, the ledger's before the schema changes."""

from collections.abc import Iterator
from dataclasses import dataclass

from graphql import DocumentNode, GraphQLSchema, OperationDefinitionNode, find_breaking_changes

from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import valid
from gateway.graphql.errors import RequestRefused
from gateway.persisted.manifests import wrong_ids
from gateway.persisted.resolver import digest
from gateway.persisted.trusted_documents import PREFIX
from resolvers.document_usage import Asked
from resolvers.trusted_documents import Trusted


class WrongDocuments(ValueError):
    """Why documents cannot be trusted: a line for each reason."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A document that a schema no longer answers."""

    asked: Asked
    why: list[str]


def checked(schema: GraphQLSchema, limits: DocumentLimits, entries: list[tuple[str, str]]) -> list[Trusted]:
    """A manifest's documents, if all of them may be trusted; else everything that is wrong with them, at once."""
    wrong, documents = list(wrong_ids(entries)), []
    for id, text in dict(entries).items():
        document, errors = looked_at(schema, limits, text)
        wrong += [(id, error) for error in errors]
        if document is not None:
            documents.append(Trusted(id.removeprefix(PREFIX), digest(text), text, name_of(document)))
    if wrong:
        raise WrongDocuments("\n".join(f"{id}: {why}" for id, why in wrong))
    return documents


def looked_at(schema: GraphQLSchema, limits: DocumentLimits, text: str) -> tuple[DocumentNode | None, list[str]]:
    """A document, or what is wrong with it."""
    try:
        document = valid(schema, limits, text)
    except RequestRefused as refused:
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


def broken(old: GraphQLSchema, new: GraphQLSchema, limits: DocumentLimits, asked: list[Asked]) -> Iterator[Broken]:
    """The documents that the old schema answers and the new one would not."""
    for one in asked:
        _, why = looked_at(new, limits, one.body)
        if why and not looked_at(old, limits, one.body)[1]:
            yield Broken(one, why)


def breaking(old: GraphQLSchema, new: GraphQLSchema) -> list[str]:
    """The changes that could break a client, whether or not one asks for what changed."""
    return [change.description for change in find_breaking_changes(old, new)]

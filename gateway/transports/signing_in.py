"""How often a document signs in: each of its aliases is a guess at a password."""

from collections.abc import Iterator

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    parse,
)

SIGN_INS = ("login", "register")
MOST_TOKENS = 20_000


def sign_ins(source: str, operation_name: str | None) -> int:
    """The number of sign-ins that an operation asks for, whatever it skips or includes."""
    if not any(name in source for name in SIGN_INS):
        return 0
    try:
        document = parse(source, no_location=True, max_tokens=MOST_TOKENS)
    except (GraphQLError, RecursionError):
        return 0  # the engine refuses it, and says why
    return len(sign_in_keys(document, operation_name))


def sign_in_keys(document: DocumentNode, operation_name: str | None) -> set[str]:
    """The response keys; what has the same key is done once."""
    return {
        (field.alias or field.name).value
        for definition in document.definitions
        if isinstance(definition, OperationDefinitionNode)
        and definition.operation is OperationType.MUTATION
        and (operation_name is None or (definition.name and definition.name.value == operation_name))
        for field in fields(definition.selection_set, document, set())
        if field.name.value in SIGN_INS
    }


def fields(selections: SelectionSetNode, document: DocumentNode, seen: set[str]) -> Iterator[FieldNode]:
    """The fields of a selection set, those of its fragments among them."""
    for selection in selections.selections:
        if isinstance(selection, FieldNode):
            yield selection
        elif not isinstance(selection, FragmentSpreadNode):
            yield from fields(selection.selection_set, document, seen)
        elif (name := selection.name.value) not in seen:
            seen.add(name)
            for definition in document.definitions:
                if isinstance(definition, FragmentDefinitionNode) and definition.name.value == name:
                    yield from fields(definition.selection_set, document, seen)

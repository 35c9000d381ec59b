"""Enforce the limits of a document before it is validated: its size, and text that Postgres cannot store."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    IntValueNode,
    NamedTypeNode,
    ObjectFieldNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    visit,
)

from models.errors import ValidationError

INTROSPECTION_FIELDS = ("__schema", "__type")
NUL_MESSAGE = "must not contain the character U+0000"
LONG_NUMBER = re.compile(r"\d{400}")
"""Longer than any number that the schema accepts. Python refuses to parse integers of more than 4,300 digits."""

Fragments = Mapping[str, FragmentDefinitionNode]


@dataclass(frozen=True)
class DocumentLimits:
    """Limits of one document. The fields of a fragment count wherever it is spread."""

    depth: int = 12
    aliases: int = 30
    root_fields: int = 20
    tokens: int = 2000
    fields: int = 500
    directives: int = 5
    """Directives of one field."""
    cost: int = 5000
    """Points, see `cost.py`."""
    introspection: bool = True
    suggestions: bool = True


def check_limits(limits: DocumentLimits, document: DocumentNode) -> Iterator[GraphQLError]:
    """Yield an error for each limit that a document exceeds."""
    fragments = fragments_of(document)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield from check_operation(limits, definition, fragments)


def check_operation(
    limits: DocumentLimits, operation: OperationDefinitionNode, fragments: Fragments
) -> Iterator[GraphQLError]:
    """Walk an operation as it would be executed, and yield an error wherever it exceeds a limit."""
    fields = aliases = roots = 0
    for node, depth in iter_fields(operation.selection_set, fragments):
        fields, aliases, roots = fields + 1, aliases + (node.alias is not None), roots + (depth == 1)
        if node.name.value in INTROSPECTION_FIELDS and not limits.introspection:
            yield GraphQLError("Introspection is disabled", node)
        for excess, number, limit in (
            ("is nested deeper than", depth, limits.depth),
            ("asks for more root fields than", roots, limits.root_fields),
            ("uses more aliases than", aliases, limits.aliases),
            ("asks for more fields than", fields, limits.fields),
            ("has more directives at a field than", len(node.directives or ()), limits.directives),
        ):
            if number > limit:
                yield GraphQLError(f"The operation {excess} {limit}", node)


def iter_fields(selections: SelectionSetNode, fragments: Fragments) -> Iterator[tuple[FieldNode, int]]:
    """Yield every field of a selection with its depth, but nothing below introspection. Does not recurse."""
    pending: list[tuple[SelectionSetNode, int]] = [(selections, 1)]
    while pending:
        selections, depth = pending.pop()
        for node in fields_of(selections, fragments):
            yield node, depth
            if node.selection_set is not None and node.name.value not in INTROSPECTION_FIELDS:
                pending.append((node.selection_set, depth + 1))


def fields_of(
    selections: SelectionSetNode,
    fragments: Fragments,
    applies: Callable[[NamedTypeNode | None], bool] = lambda type_condition: True,
) -> Iterator[FieldNode]:
    """Yield the fields of a selection set and of its fragments that apply, each fragment once."""
    pending, spread = list(reversed(selections.selections)), set()
    while pending:
        node: Any = pending.pop()
        if isinstance(node, FieldNode):
            yield node
            continue
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in spread or name not in fragments:
                continue
            spread.add(name)
            node = fragments[name]
        if applies(node.type_condition):
            pending.extend(reversed(node.selection_set.selections))


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def invalid_values(source: str, document: DocumentNode) -> Iterator[GraphQLError]:
    """Yield an error for each text with U+0000, escaped or not, and for each number with too many digits."""
    if "\\u" in source or "\0" in source or LONG_NUMBER.search(source):
        values = ValueCollector()
        visit(document, values)
        yield from (nul_error(path, node) for node, path in values.nul)
        yield from (GraphQLError("A number has too many digits", node) for node in values.long)


def nul_error(path: Sequence[str], node: StringValueNode | None = None) -> GraphQLError:
    """Return the error for text with U+0000, with the field's path as in REST."""
    error = ValidationError(details={".".join(path): [NUL_MESSAGE]})
    return GraphQLError(error.message, node, original_error=error)


def find_nul(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each text with U+0000 in a request's variables."""
    if isinstance(value, str) and "\0" in value:
        yield path
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield from find_nul(inner, (*path, str(name)))


class ValueCollector(Visitor):
    """Collects texts with U+0000, with the names of their fields, and numbers with too many digits."""

    def __init__(self) -> None:
        super().__init__()
        self.nul: list[tuple[StringValueNode, list[str]]] = []
        self.long: list[IntValueNode | FloatValueNode] = []

    def enter_int_value(self, node: IntValueNode | FloatValueNode, *_: Any) -> None:
        if LONG_NUMBER.search(node.value):
            self.long.append(node)

    enter_float_value = enter_int_value

    def enter_string_value(self, node: StringValueNode, key: Any, parent: Any, path: Any, ancestors: list[Any]) -> None:
        if "\0" in node.value:
            fields = [ancestor.name.value for ancestor in ancestors if isinstance(ancestor, ObjectFieldNode)]
            arguments = [ancestor.name.value for ancestor in ancestors if isinstance(ancestor, ArgumentNode)]
            self.nul.append((node, fields or arguments or ["query"]))

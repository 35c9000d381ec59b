"""How much a document may ask for, and what its text may hold: seen by walking it, before it is validated."""

import re
from collections.abc import Iterator, Mapping, Sequence
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
    ObjectFieldNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    Visitor,
    visit,
)

from models.errors import ValidationError

INTROSPECTION = ("__schema", "__type")
NUL = "must not contain the character U+0000"
LONG_NUMBER = re.compile(r"\d{400}")
"""No number that anything here takes is as long, and Python would rather not read one that is much longer."""

Fragments = Mapping[str, FragmentDefinitionNode]


@dataclass(frozen=True)
class DocumentLimits:
    """How much one document may ask for, fragments counted wherever they are spread."""

    depth: int = 12
    aliases: int = 30
    root_fields: int = 20
    tokens: int = 2000
    fields: int = 500
    directives: int = 5
    """At one field: each of those there are may stand there once."""
    cost: int = 5000
    """Points, as `costs.py` counts them."""
    introspection: bool = True
    suggestions: bool = True


def check_limits(limits: DocumentLimits, document: DocumentNode) -> Iterator[GraphQLError]:
    """Why a document is refused."""
    fragments = fragments_of(document)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield from check_operation(limits, definition, fragments)


def check_operation(
    limits: DocumentLimits, operation: OperationDefinitionNode, fragments: Fragments
) -> Iterator[GraphQLError]:
    """Walks an operation as it would be answered, and says where it goes beyond the limits."""
    fields = aliases = roots = 0
    for node, depth in iter_fields(operation.selection_set, fragments):
        fields, aliases, roots = fields + 1, aliases + (node.alias is not None), roots + (depth == 1)
        if node.name.value in INTROSPECTION and not limits.introspection:
            yield GraphQLError("Introspection is switched off", node)
        for what, number, most in (
            ("is nested deeper than", depth, limits.depth),
            ("asks for more root fields than", roots, limits.root_fields),
            ("uses more aliases than", aliases, limits.aliases),
            ("asks for more fields than", fields, limits.fields),
            ("has more directives at a field than", len(node.directives or ()), limits.directives),
        ):
            if number > most:
                yield GraphQLError(f"The operation {what} {most}", node)


def iter_fields(selections: SelectionSetNode, fragments: Fragments) -> Iterator[tuple[FieldNode, int]]:
    """Every field of a selection, with its depth; of introspection only the root. Keeps no stack of calls."""
    waiting: list[tuple[SelectionSetNode, int]] = [(selections, 1)]
    while waiting:
        within, depth = waiting.pop()
        for node in fields_of(within, fragments):
            yield node, depth
            if node.selection_set is not None and node.name.value not in INTROSPECTION:
                waiting.append((node.selection_set, depth + 1))


def fields_of(selections: SelectionSetNode, fragments: Fragments) -> Iterator[FieldNode]:
    """The fields of one selection set; its fragments are opened, each of them once."""
    waiting, spread = list(reversed(selections.selections)), set()
    while waiting:
        node: Any = waiting.pop()
        if isinstance(node, FieldNode):
            yield node
            continue
        if isinstance(node, FragmentSpreadNode):
            name = node.name.value
            if name in spread or name not in fragments:
                continue
            spread.add(name)
            node = fragments[name]
        waiting.extend(reversed(node.selection_set.selections))


def fragments_of(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    return {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}


def invalid_values(source: str, document: DocumentNode) -> Iterator[GraphQLError]:
    """Where a document has text that Postgres cannot keep, by an escape or as it is, or a number without end."""
    if "\\u" in source or "\0" in source or LONG_NUMBER.search(source):
        values = ValueCollector()
        visit(document, values)
        yield from (nul_error(place, node) for node, place in values.nul)
        yield from (GraphQLError("A number has too many digits", node) for node in values.long)


def nul_error(place: Sequence[str], node: StringValueNode | None = None) -> GraphQLError:
    """The refusal of text, by the name of its field as REST has it."""
    refusal = ValidationError(details={".".join(place): [NUL]})
    return GraphQLError(refusal.message, node, original_error=refusal)


def find_nul(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in the variables there is text that Postgres cannot keep."""
    if isinstance(value, str) and "\0" in value:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in inner:
        yield from find_nul(below, (*place, str(name)))


class ValueCollector(Visitor):
    """Finds text that no database of ours can keep, with the fields that it stands in, and numbers without end."""

    def __init__(self) -> None:
        super().__init__()
        self.nul: list[tuple[StringValueNode, list[str]]] = []
        self.long: list[IntValueNode | FloatValueNode] = []

    def enter_int_value(self, node: IntValueNode, *_: Any) -> None:
        if LONG_NUMBER.search(node.value):
            self.long.append(node)

    def enter_float_value(self, node: FloatValueNode, *_: Any) -> None:
        if LONG_NUMBER.search(node.value):
            self.long.append(node)

    def enter_string_value(self, node: StringValueNode, key: Any, parent: Any, path: Any, ancestors: list[Any]) -> None:
        if "\0" in node.value:
            fields = [above.name.value for above in ancestors if isinstance(above, ObjectFieldNode)]
            arguments = [above.name.value for above in ancestors if isinstance(above, ArgumentNode)]
            self.nul.append((node, fields or arguments or ["query"]))

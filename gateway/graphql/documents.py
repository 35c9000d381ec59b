"""From a document's text to an operation that is valid and within bounds, once; then kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    ObjectFieldNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    validate,
    visit,
)
from graphql.execution.values import VariableValues, get_variable_values

from gateway.graphql.errors import RequestRefused
from gateway.graphql.selection import Selector
from models.errors import ValidationError

INTROSPECTION = ("__schema", "__type")
NUL = "must not contain the character U+0000"


@dataclass(frozen=True)
class DocumentLimits:
    """How much one document may ask for, fragments counted wherever they are spread."""

    depth: int = 12
    aliases: int = 30
    root_fields: int = 20
    tokens: int = 2000
    fields: int = 1000
    introspection: bool = True
    suggestions: bool = True


@dataclass(frozen=True, eq=False)
class Operation:
    """A valid operation of a valid document."""

    schema: GraphQLSchema
    document: DocumentNode
    definition: OperationDefinitionNode
    suggestions: bool

    @cached_property
    def is_mutation(self) -> bool:
        return self.definition.operation is OperationType.MUTATION

    @cached_property
    def is_introspection(self) -> bool:
        """Whether it asks about the schema alone, which is the same for everybody."""
        roots = [
            node for node in selected(self.definition.selection_set, self.fragments) if isinstance(node, FieldNode)
        ]
        return not self.definition.variable_definitions and all(node.name.value.startswith("__") for node in roots)

    @cached_property
    def name(self) -> str | None:
        return self.definition.name and self.definition.name.value

    @cached_property
    def fragments(self) -> dict[str, FragmentDefinitionNode]:
        return fragments_of(self.document)

    @cached_property
    def shaping(self) -> frozenset[str]:
        """The variables that a plan may depend on. What only an operation is told changes no plan."""
        if not self.is_mutation:
            return frozenset(each.variable.name.value for each in self.definition.variable_definitions or ())
        found = Variables()
        for node in [*self.fragments.values(), *selected(self.definition.selection_set, self.fragments)]:
            if isinstance(node, FieldNode) and node.selection_set is not None:
                visit(node.selection_set, found)
            for directive in node.directives or ():
                visit(directive, found)
        return frozenset(found.names)

    def coerced(self, variables: dict[str, Any] | None) -> VariableValues:
        """A request's variables as their types have them."""
        definitions = self.definition.variable_definitions
        if not definitions:
            return NO_VARIABLES
        values = get_variable_values(self.schema, definitions, variables or {}, 20, not self.suggestions)
        if isinstance(values, list):
            raise RequestRefused(values)
        for place in nul_places(values.coerced):
            raise RequestRefused([ill_text(place[1:] or place)])
        return values

    def selector(self, variables: VariableValues) -> Selector:
        return Selector(self.schema, self.fragments, self.definition, variables)


NO_VARIABLES = VariableValues({}, {})


def read(schema: GraphQLSchema, limits: DocumentLimits, source: str, name: str | None = None) -> Operation:
    """The operation that a request names, or a refusal: what is cheap to see is refused first."""
    try:
        document = parse(source, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    except GraphQLError as error:
        raise RequestRefused([error]) from error
    for refused in beyond(limits, document):
        raise RequestRefused([refused])
    if errors := validate(schema, document, max_errors=20, hide_suggestions=not limits.suggestions):
        raise RequestRefused(errors)
    definition = get_operation_ast(document, name)
    if definition is None:
        raise RequestRefused([GraphQLError(missing(name))])
    return Operation(schema, document, definition, limits.suggestions)


def missing(name: str | None) -> str:
    return f'There is no operation "{name}"' if name else "The document has several operations: name the one to run"


def beyond(limits: DocumentLimits, document: DocumentNode) -> Iterator[GraphQLError]:
    """Why a document is refused before anybody spends time on validating it."""
    texts = Texts()
    visit(document, texts)
    for node, place in texts.nul:
        yield ill_text(place, node)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield from measured(limits, definition, fragments_of(document))


def measured(
    limits: DocumentLimits, operation: OperationDefinitionNode, fragments: dict[str, Any]
) -> Iterator[GraphQLError]:
    """Walks an operation as it would be answered, and stops where it goes beyond the limits."""
    fields = aliases = roots = 0
    for node, depth in walked(operation.selection_set, fragments):
        fields, aliases, roots = fields + 1, aliases + (node.alias is not None), roots + (depth == 1)
        if node.name.value in INTROSPECTION and not limits.introspection:
            yield GraphQLError("Introspection is switched off", node)
        for what, number, most in (
            ("nested deeper than", depth, limits.depth),
            ("asking for more root fields than", roots, limits.root_fields),
            ("using more aliases than", aliases, limits.aliases),
            ("asking for more fields than", fields, limits.fields),
        ):
            if number > most:
                yield GraphQLError(f"The operation is {what} {most}", node)


def walked(selections: SelectionSetNode, fragments: dict[str, Any]) -> Iterator[tuple[FieldNode, int]]:
    """Every field of a selection, with its depth; of introspection only the root. Keeps no stack of calls."""
    waiting: list[tuple[SelectionSetNode, int]] = [(selections, 1)]
    while waiting:
        within, depth = waiting.pop()
        for node in selected(within, fragments):
            if isinstance(node, FieldNode):
                yield node, depth
                if node.selection_set is not None and node.name.value not in INTROSPECTION:
                    waiting.append((node.selection_set, depth + 1))


def selected(selections: SelectionSetNode, fragments: dict[str, Any]) -> Iterator[Any]:
    """What one selection set holds, its fragments opened, each of them once."""
    waiting, spread = list(reversed(selections.selections)), set()
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, FieldNode):
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


def ill_text(place: Sequence[str], node: StringValueNode | None = None) -> GraphQLError:
    """The refusal of text that Postgres cannot keep, by the name of its field as REST has it."""
    refusal = ValidationError(details={".".join(place): [NUL]})
    return GraphQLError(refusal.message, node, original_error=refusal)


def nul_places(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in the variables there is text that Postgres cannot keep."""
    if isinstance(value, str) and "\0" in value:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in inner:
        yield from nul_places(below, (*place, str(name)))


class Texts(Visitor):
    """Finds text that no database of ours can keep, and the names of the fields that it stands in."""

    def __init__(self) -> None:
        super().__init__()
        self.nul: list[tuple[StringValueNode, list[str]]] = []

    def enter_string_value(self, node: StringValueNode, key: Any, parent: Any, path: Any, ancestors: list[Any]) -> None:
        if "\0" in node.value:
            fields = [above.name.value for above in ancestors if isinstance(above, ObjectFieldNode)]
            arguments = [above.name.value for above in ancestors if isinstance(above, ArgumentNode)]
            self.nul.append((node, fields or arguments or ["query"]))


class Variables(Visitor):
    """Collects the variables that are used."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)

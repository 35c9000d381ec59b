"""From a document's text to an operation that is valid and within bounds, once; then kept."""

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    VariableNode,
    Visitor,
    get_operation_ast,
    parse,
    validate,
    visit,
)
from graphql.execution.values import VariableValues, get_variable_values
from graphql.validation.rules import overlapping_fields_can_be_merged as overlapping
from graphql.validation.validate import ValidationAbortedError

from gateway.graphql.documents.cost import Cost, cost_of
from gateway.graphql.documents.limits import (
    DocumentLimits,
    check_limits,
    fields_of,
    find_nul,
    fragments_of,
    invalid_values,
    nul_error,
)
from gateway.graphql.documents.selection import FieldCollector
from gateway.graphql.errors import RequestError

NO_VARIABLES = VariableValues({}, {})
MOST_ERRORS = 20
overlapping.MAX_COMPLEXITY_BUDGET = 100_000
"""Steps of the one rule that takes longer the more fields there are squared: a tenth of a second, not half of one."""
TOO_COMPLEX = "The document repeats too many fields, or nests its fragments too deeply"
MORE_ERRORS = f"There are more errors than these {MOST_ERRORS}"
TOO_EXPENSIVE = "The operation costs {:,} points, and one may cost {:,}; ask for fewer rows, or for less of each"


@dataclass(frozen=True, eq=False)
class Operation:
    """A valid operation of a valid document."""

    schema: GraphQLSchema
    document: DocumentNode
    definition: OperationDefinitionNode
    limits: DocumentLimits
    fragments: dict[str, FragmentDefinitionNode]
    cost: Cost

    @cached_property
    def name(self) -> str | None:
        return self.definition.name and self.definition.name.value

    @cached_property
    def type(self) -> str:
        return self.definition.operation.value

    @cached_property
    def token_count(self) -> int:
        """How many the document has."""
        token, count = self.document.loc.start_token, 0
        while token is not None:
            token, count = token.next, count + 1
        return count

    @cached_property
    def is_mutation(self) -> bool:
        return self.definition.operation is OperationType.MUTATION

    @cached_property
    def is_subscription(self) -> bool:
        return self.definition.operation is OperationType.SUBSCRIPTION

    @cached_property
    def is_introspection(self) -> bool:
        """Whether it asks about the schema alone, which is the same for everybody."""
        roots = fields_of(self.definition.selection_set, self.fragments)
        return not self.definition.variable_definitions and all(node.name.value.startswith("__") for node in roots)

    @cached_property
    def shaping_variables(self) -> frozenset[str]:
        """The variables that a field's plan depends on: what only its own function is told changes no plan."""
        found, root = Variables(), self.schema.get_root_type(self.definition.operation)
        for fragment in self.fragments.values():
            if fragment.type_condition.name.value != root.name:
                visit(fragment, found)
        for node in fields_of(self.definition.selection_set, self.fragments):
            for part in (*(node.directives or ()), *([node.selection_set] if node.selection_set else ())):
                visit(part, found)
        return frozenset(found.names)

    def coerce_variables(self, variables: dict[str, Any] | None) -> VariableValues:
        """A request's variables as their types have them."""
        definitions = self.definition.variable_definitions
        if not definitions:
            return NO_VARIABLES
        values = get_variable_values(
            self.schema, definitions, variables or {}, MOST_ERRORS, not self.limits.suggestions
        )
        if isinstance(values, list):
            raise RequestError(values)
        for place in find_nul(values.coerced):
            raise RequestError([nul_error(place[1:] or place)])
        return values

    def points(self, variables: VariableValues) -> int:
        """What it costs with these variables, if that is not too much."""
        points = self.cost.of(variables.coerced)
        if points > self.limits.cost:
            raise RequestError([GraphQLError(TOO_EXPENSIVE.format(points, self.limits.cost), self.definition)])
        return points

    def selector(self, variables: VariableValues) -> FieldCollector:
        return FieldCollector(self.schema, self.fragments, self.definition, variables)


def parse_operation(schema: GraphQLSchema, limits: DocumentLimits, source: str, name: str | None = None) -> Operation:
    """The operation that a request names, or a refusal."""
    document = parse_and_validate(schema, limits, source)
    definition = get_operation_ast(document, name)
    if definition is None:
        raise RequestError([GraphQLError(unknown_operation_message(name))])
    fragments = fragments_of(document)
    return Operation(schema, document, definition, limits, fragments, cost_of(schema, definition, fragments))


def parse_and_validate(schema: GraphQLSchema, limits: DocumentLimits, source: str) -> DocumentNode:
    """A valid document within bounds, or a refusal: what is cheap to see is refused first."""
    try:
        document = parse(source, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    except GraphQLError as error:
        raise RequestError([error]) from error
    for refused in chain(invalid_values(source, document), check_limits(limits, document)):
        raise RequestError([refused])
    if errors := validate(schema, document, max_errors=MOST_ERRORS, hide_suggestions=not limits.suggestions):
        raise RequestError(explain_abort(errors))
    return document


def explain_abort(errors: list[GraphQLError]) -> list[GraphQLError]:
    """What is wrong with a document; where looking for it was given up, why, which graphql-core does not say."""
    *found, last = errors
    if not isinstance(last, ValidationAbortedError):
        return errors
    return [*found, GraphQLError(MORE_ERRORS if len(found) == MOST_ERRORS else TOO_COMPLEX)]


def unknown_operation_message(name: str | None) -> str:
    return f'There is no operation "{name}"' if name else "The document has several operations: name the one to run"


class Variables(Visitor):
    """Collects the variables that are used."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)

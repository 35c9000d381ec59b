"""Parse, validate and limit a document, and build the operation that a request names."""

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
MAX_ERRORS = 20
overlapping.MAX_COMPLEXITY_BUDGET = 100_000
"""Steps of the one validation rule whose time grows with the square of the number of fields. This many take 0.1 s."""
TOO_COMPLEX = "The document repeats too many fields, or nests its fragments too deeply"
MORE_ERRORS = f"The document has more errors than these {MAX_ERRORS}"
TOO_EXPENSIVE = "The operation costs {:,} points, more than the limit of {:,}; request fewer rows or fewer fields"


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
        """Number of lexical tokens of the document."""
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
        """True if it selects only introspection fields and has no variables, so that its result never changes."""
        roots = fields_of(self.definition.selection_set, self.fragments)
        return not self.definition.variable_definitions and all(node.name.value.startswith("__") for node in roots)

    @cached_property
    def shaping_variables(self) -> frozenset[str]:
        """Names of the variables that a plan depends on, which excludes arguments of the operation's own fields."""
        collector, root = VariableCollector(), self.schema.get_root_type(self.definition.operation)
        for fragment in self.fragments.values():
            if fragment.type_condition.name.value != root.name:
                visit(fragment, collector)
        for node in fields_of(self.definition.selection_set, self.fragments):
            for part in (*(node.directives or ()), *([node.selection_set] if node.selection_set else ())):
                visit(part, collector)
        return frozenset(collector.names)

    def coerce_variables(self, variables: dict[str, Any] | None) -> VariableValues:
        """Return a request's variables, coerced to their types. Raises `RequestError`."""
        definitions = self.definition.variable_definitions
        if not definitions:
            return NO_VARIABLES
        values = get_variable_values(self.schema, definitions, variables or {}, MAX_ERRORS, not self.limits.suggestions)
        if isinstance(values, list):
            raise RequestError(values)
        for path in find_nul(values.coerced):
            raise RequestError([nul_error(path[1:] or path)])
        return values

    def compute_cost(self, variables: VariableValues) -> int:
        """Return the points for these variables. Raises `RequestError` if they exceed the limit."""
        cost = self.cost.evaluate(variables.coerced)
        if cost > self.limits.cost:
            raise RequestError([GraphQLError(TOO_EXPENSIVE.format(cost, self.limits.cost), self.definition)])
        return cost

    def field_collector(self, variables: VariableValues) -> FieldCollector:
        return FieldCollector(self.schema, self.fragments, self.definition, variables)


def parse_operation(schema: GraphQLSchema, limits: DocumentLimits, source: str, name: str | None = None) -> Operation:
    """Return the operation that a request names. Raises `RequestError`."""
    document = parse_and_validate(schema, limits, source)
    definition = get_operation_ast(document, name)
    if definition is None:
        raise RequestError([GraphQLError(unknown_operation_message(name))])
    fragments = fragments_of(document)
    return Operation(schema, document, definition, limits, fragments, cost_of(schema, definition, fragments))


def parse_and_validate(schema: GraphQLSchema, limits: DocumentLimits, source: str) -> DocumentNode:
    """Return a valid document within the limits. Cheap checks run first. Raises `RequestError`."""
    try:
        document = parse(source, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    except GraphQLError as error:
        raise RequestError([error]) from error
    for error in chain(invalid_values(source, document), check_limits(limits, document)):
        raise RequestError([error])
    if errors := validate(schema, document, max_errors=MAX_ERRORS, hide_suggestions=not limits.suggestions):
        raise RequestError(explain_abort(errors))
    return document


def explain_abort(errors: list[GraphQLError]) -> list[GraphQLError]:
    """Replace graphql-core's last error, if it aborted the validation, by one that says why."""
    *others, last = errors
    if not isinstance(last, ValidationAbortedError):
        return errors
    return [*others, GraphQLError(MORE_ERRORS if len(others) == MAX_ERRORS else TOO_COMPLEX)]


def unknown_operation_message(name: str | None) -> str:
    return f'There is no operation "{name}"' if name else "The document has several operations: name the one to run"


class VariableCollector(Visitor):
    """Collects the names of the variables that are used."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.names.add(node.name.value)

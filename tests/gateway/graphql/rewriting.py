"""The same question in other words: arguments become variables, and inline fragments named ones that are included."""

from typing import Any

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    NameNode,
    TypeInfo,
    TypeInfoVisitor,
    VariableNode,
    Visitor,
    parse,
    print_ast,
    value_from_ast_untyped,
    visit,
)


class Rewording(Visitor):
    """Collects the variables and fragments on the way out of what holds them."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types
        self.declared: list[str] = []
        self.values: dict[str, Any] = {}
        self.fragments: list[str] = []

    def leave_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode:
        type, value = self.types.get_argument().type, value_from_ast_untyped(node.value)
        return ArgumentNode(name=node.name, value=self.variable(str(type), value))

    def leave_inline_fragment(self, node: InlineFragmentNode, *_: Any) -> FragmentSpreadNode:
        name = f"F{len(self.fragments)}"
        on = node.type_condition.name.value
        self.fragments.append(f"fragment {name} on {on} {print_ast(node.selection_set)}")
        yes = ArgumentNode(name=NameNode(value="if"), value=self.variable("Boolean!", True))
        include = DirectiveNode(name=NameNode(value="include"), arguments=(yes,))
        return FragmentSpreadNode(name=NameNode(value=name), directives=(include,))

    def variable(self, type: str, value: Any) -> VariableNode:
        name = f"v{len(self.values)}"
        self.declared.append(f"${name}: {type}")
        self.values[name] = value
        return VariableNode(name=NameNode(value=name))


def reworded(schema: GraphQLSchema, source: str) -> tuple[str, dict[str, Any]]:
    """A document of one anonymous query, and the variables to send with it."""
    types = TypeInfo(schema)
    words = Rewording(types)
    query: DocumentNode = visit(parse(source, no_location=True), TypeInfoVisitor(types, words))
    head = f"query({', '.join(words.declared)}) " if words.declared else ""
    return "\n".join([head + print_ast(query.definitions[0].selection_set), *words.fragments]), words.values

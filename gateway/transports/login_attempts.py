"""How often a document signs in: each of its aliases is a guess at a password."""

from gateway.graphql.documents.limits import fields_of
from gateway.graphql.documents.operation import Operation
from gateway.graphql.engine import Engine, GraphQLRequest

SIGN_INS = ("login", "register")


async def sign_ins(engine: Engine, asked: GraphQLRequest) -> int:
    """The number of sign-ins that a request asks for. The engine reads its document, aside: that may take a while."""
    if "login" not in asked.query and "register" not in asked.query:
        return 0
    try:
        operation = await engine.operation(asked)
    except Exception:
        return 0  # `answer` says why it is refused
    return len(sign_in_keys(operation))


def sign_in_keys(operation: Operation) -> set[str]:
    """The response keys, whatever is skipped or included; what has the same key is done once."""
    if not operation.is_mutation:
        return set()
    fields = fields_of(operation.definition.selection_set, operation.fragments)
    return {(field.alias or field.name).value for field in fields if field.name.value in SIGN_INS}

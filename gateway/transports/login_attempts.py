"""Login attempts in GraphQL documents: each alias of `login` or `register` is a guess at a password."""

from collections.abc import Iterable

from gateway.graphql.documents.limits import fields_of
from gateway.graphql.documents.operation import Operation
from gateway.graphql.engine import Engine, GraphQLRequest, GraphQLResponse
from gateway.http.request_state import RequestState
from gateway.limits import AUTH
from gateway.state import AppState

LOGIN_FIELDS = ("login", "register")


async def limit_login_attempts(
    app_state: AppState, requests: Iterable[GraphQLRequest | GraphQLResponse], state: RequestState
) -> None:
    """Count every login attempt of the requests in the `auth` limit, or raise `RateLimited`."""
    if attempts := sum([await count_login_attempts(app_state.engine, request) for request in requests]):
        await app_state.limits.check(AUTH, state.caller, state, attempts)


async def count_login_attempts(engine: Engine, request: GraphQLRequest | GraphQLResponse) -> int:
    if isinstance(request, GraphQLResponse) or not any(name in request.query for name in LOGIN_FIELDS):
        return 0
    try:
        operation = await engine.get_operation(request)
    except Exception:
        return 0  # the engine rejects the document when it executes it
    return len(login_response_keys(operation))


def login_response_keys(operation: Operation) -> set[str]:
    """Return the response keys of all login fields, skipped ones included. Fields with the same key run once."""
    if not operation.is_mutation:
        return set()
    fields = fields_of(operation.definition.selection_set, operation.fragments)
    return {(field.alias or field.name).value for field in fields if field.name.value in LOGIN_FIELDS}

"""How many login attempts a GraphQL document makes."""

import pytest

from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import parse_operation
from gateway.transports.login_attempts import login_response_keys
from schema import schema

LOGIN = 'login(input: {email: "nobody@example.com", password: "wrong"}) { expiresIn }'
REGISTER = 'register(input: {name: "a", email: "b", password: "c"}) { expiresIn }'


@pytest.mark.parametrize(
    ("document", "attempts"),
    [
        ("{ viewer { id } }", 0),
        ("query login { viewer { id } }", 0),
        (f"mutation {{ {LOGIN} }}", 1),
        (f"mutation {{ {LOGIN} {LOGIN} }}", 1),
        (f"mutation {{ a: {LOGIN} b: {LOGIN} c: {REGISTER} }}", 3),
        (f"mutation {{ ...F ...F }} fragment F on Mutation {{ a: {LOGIN} ... on Mutation {{ b: {LOGIN} }} ...G }}"
         f" fragment G on Mutation {{ c: {LOGIN} }}", 3),
        (f"mutation {{ ... @include(if: false) {{ a: {LOGIN} }} }}", 1),
    ],
)  # fmt: skip
def test_each_response_key_is_an_attempt(document: str, attempts: int) -> None:
    assert len(login_response_keys(parse_operation(schema._schema, DocumentLimits(), document))) == attempts


def test_only_the_requested_operation_counts() -> None:
    document = f"mutation A {{ a: {LOGIN} }} mutation B {{ b: {LOGIN} c: {LOGIN} }}"
    operations = [parse_operation(schema._schema, DocumentLimits(), document, name) for name in "AB"]
    assert [len(login_response_keys(operation)) for operation in operations] == [1, 2]

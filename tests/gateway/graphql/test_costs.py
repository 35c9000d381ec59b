"""What an operation costs is known before it runs, and one that costs too much does not run."""

from typing import Any

import pytest
import strawberry
from graphql import parse

from gateway.graphql.documents.cost import cost_of
from gateway.graphql.documents.limits import DocumentLimits
from gateway.graphql.documents.operation import parse_operation
from gateway.graphql.engine import Engine
from gateway.graphql.execution import result
from schema import schema
from tests.gateway.graphql.conftest import EngineClient

PAGE = "query($n: Int) { posts(first: $n) { nodes { author { name } } } }"
"""The operation, the list, and two objects for each row."""


@strawberry.interface
class Thing:
    """What may be of any of several types, and holds another."""

    @strawberry.field
    def inner(self) -> "Thing": ...


def cost(source: str, **variables: Any) -> int:
    operation = parse_operation(schema._schema, DocumentLimits(), source)
    return operation.cost.evaluate(operation.coerce_variables(variables).coerced)


@pytest.mark.parametrize(
    ("source", "variables", "points"),
    [
        ("{ __typename }", {}, 1),
        ("{ viewer { id name email } }", {}, 2),
        (PAGE, {"n": 50}, 2 + 50 * 2),
        (PAGE, {}, 2 + 20 * 2),
        (PAGE, {"n": None}, 2 + 20 * 2),
        (PAGE.replace("Int", "Int = 7"), {}, 2 + 7 * 2),
        (PAGE, {"n": 0}, 2),
        (PAGE, {"n": -3}, 2),
        (PAGE, {"n": 100_000}, 2 + 100 * 2),
        ("{ posts(last: 5) { edges { cursor node { id } } } }", {}, 2 + 5),
        ("{ posts { totalCount } }", {}, 2 + 10),
        ("{ postPage(limit: 30) { total data { title } } }", {}, 2 + 10 + 30),
        ("{ categories { name } }", {}, 1 + 20),
        ("{ tags(first: 7) { name } }", {}, 1 + 7),
        ("{ tags { name } }", {}, 1 + 50),
        ("{ posts(first: 10) { nodes { tags { name } } } }", {}, 2 + 10 * (1 + 5)),
        ("{ posts(first: 10) { nodes { viewerHasLiked } } }", {}, 2 + 10 * 2),
        ("{ posts(first: 10) { nodes { comments(first: 3) { nodes { id } } } } }", {}, 2 + 10 * (1 + 1 + 3)),
        ('mutation { likePost(id: "x") { id } }', {}, 1 + 11),
        ('mutation { deletePost(id: "x") }', {}, 1 + 10),
        ('mutation { login(input: {email: "a", password: "b"}) { expiresIn } }', {}, 1 + 50),
        ("subscription { postEvents { post { id } } }", {}, 1 + 11 + 1),
        ("{ __schema { types { name } } }", {}, 1 + 10),
    ],
)
def test_an_operation_costs_what_it_may_answer(source: str, variables: dict[str, Any], points: int) -> None:
    """A point for each object, with lists as long as they are asked for, or as they are assumed to be."""
    assert cost(source, **variables) == points


BOTH_ENDS = "query($f: Int, $l: Int) { posts(first: $f, last: $l) { nodes { id } } }"


@pytest.mark.parametrize(
    ("source", "variables", "rows"),
    [
        (BOTH_ENDS, {"f": None, "l": 100}, 100),
        (BOTH_ENDS, {"f": 100, "l": None}, 100),
        (BOTH_ENDS, {"l": 70}, 70),
        (BOTH_ENDS, {"f": None, "l": None}, 20),
        (BOTH_ENDS, {}, 20),
        (BOTH_ENDS.replace("Int,", "Int = null,").replace("Int)", "Int = 90)"), {}, 90),
        (BOTH_ENDS.replace("$l: Int", "$l: Int = 90"), {"l": None}, 20),
        (BOTH_ENDS, {"f": 1, "l": 100}, 100),
        ("query($f: Int) { posts(first: $f, last: 100) { nodes { id } } }", {"f": None}, 100),
        ("query($f: Int) { posts(first: $f, last: 100) { nodes { id } } }", {}, 100),
        ("{ posts(first: null, last: 100) { nodes { id } } }", {}, 100),
        ("{ posts(last: null, first: 100) { nodes { id } } }", {}, 100),
        ("{ posts(first: null) { nodes { id } } }", {}, 20),
        ("{ postPage(limit: null) { data { id } } }", {}, 20),
        ("query($l: Int = null) { postPage(limit: $l) { data { id } } }", {}, 20),
        ("query($l: Int) { postPage(page: 3, limit: $l) { data { id } } }", {"l": 60}, 60),
    ],
)
def test_a_size_that_is_null_is_none(source: str, variables: dict[str, Any], rows: int) -> None:
    """The page is as large as the other one says, or as it is unasked; of two the larger, which is refused later."""
    assert cost(source, **variables) == 2 + rows


BY_TEXT = "query($q: String) { posts(first: 1, filter: {q: $q}) { nodes { id } } }"
BY_FILTER = "query($filter: PostFilter) { posts(first: 1, filter: $filter) { nodes { id } } }"
IN_TAGS = "query($q: String) { tags(first: 100) { posts(first: 1, filter: {q: $q}) { nodes { id } } } }"
PAGE_OF_TEXT = '{ postPage(limit: 5, filter: {q: "a"}) { data { id } total pages page limit } }'
PAGED = "nodes { id } edges { node { title } } totalCount pageInfo { hasNextPage endCursor }"


@pytest.mark.parametrize(
    ("source", "variables", "points"),
    [
        ('{ posts(first: 1, filter: {q: "zz0"}) { nodes { id } } }', {}, 2 + 1 + 20),
        ('{ posts(first: 1, filter: {q: "zz0"}) { ...A } } fragment A on PostConnection { a: nodes { id } }', {}, 23),
        ('{ posts(first: 1, filter: {q: "zz0"}) { a: nodes { id } b: nodes { id } } }', {}, 2 + 2 * (1 + 20)),
        ('{ posts(first: 9, filter: {q: "a"}) { nodes { tags { id } } } }', {}, 2 + 9 * (1 + 5) + 20),
        (f'{{ posts(first: 5, filter: {{q: "a"}}) {{ {PAGED} }} }}', {}, 2 + 5 + 5 + 10 + 5 * 20),
        (
            '{ postPage(limit: 5, filter: {q: "a"}) { data { id } total pages page limit } }',
            {},
            2 + 5 + 2 * 10 + 3 * 20,
        ),
        ('{ posts(filter: {q: "a"}) { __typename } }', {}, 2),
        ("{ posts(first: 1, filter: {q: null, status: null}) { nodes { id } } }", {}, 2 + 1),
        ('{ posts(first: 1, filter: {tag: "a"}) { nodes { id } } }', {}, 2 + 1),
        (BY_TEXT, {"q": "a"}, 2 + 1 + 20),
        (BY_TEXT, {"q": None}, 2 + 1),
        (BY_TEXT, {}, 2 + 1),
        (
            BY_TEXT.replace("String", 'String = "a"'),
            {},
            2 + 1 + 20,
        ),
        (BY_FILTER, {"filter": {"q": "a"}}, 2 + 1 + 20),
        (BY_FILTER, {"filter": {"tag": "a"}}, 2 + 1),
        (BY_FILTER, {"filter": None}, 2 + 1),
        (BY_FILTER, {}, 2 + 1),
        (IN_TAGS, {"q": "a"}, 1 + 100 * (1 + 1 + 1 + 20)),
    ],
)
def test_text_that_is_looked_for_costs_more(source: str, variables: dict[str, Any], points: int) -> None:
    """Each time that rows are looked for by it: once for a page, however many there are on it."""
    assert cost(source, **variables) == points


def test_what_is_answered_once_is_counted_once() -> None:
    """The same key in several places, as fragments of several components have it; another alias is another answer."""
    merged = """{ posts(first: 10) { nodes { author { name } } ...A ... { nodes { author { id } } } } }
                fragment A on PostConnection { nodes { author { image } } }"""
    assert cost(merged) == cost("{ posts(first: 10) { nodes { author { name id image } } } }")
    assert cost("{ a: viewer { id } b: viewer { id } }") == 1 + 2


CHEAP = "... on Tag { p: posts(first: 1) { nodes { id } } }"
DEAR = """... on Category { p: posts(first: 100) {
            nodes { id content author { id p: posts(first: 40) { nodes { id title } } } } } }"""


def test_what_may_be_of_several_types_costs_as_much_as_the_dearest() -> None:
    """It is of one type in the end; what is asked of it by a key says nothing of what others ask by the same key."""
    either = 'query { node(id: "x") { ... on Post { author { id } category { id } } ... on Comment { post { id } } } }'
    assert cost(either) == 1 + 1 + 2
    points = 2 + 1 + 100 * (1 + 1 + 1 + 40)
    for fragments in (CHEAP + DEAR, DEAR + CHEAP, f"... on Node {{ {CHEAP} ... on Node {{ {DEAR} }} }}"):
        assert cost(f'{{ node(id: "X") {{ {fragments} }} }}') == points == 4303


def test_which_type_is_the_dearest_may_be_for_variables_to_say() -> None:
    """So it is not known before they are."""
    source = """query($a: Int, $b: Int) { node(id: "x") {
        ... on User { posts(first: $a) { nodes { author { id } } } }
        ... on Tag { posts(first: $b) { nodes { id } } }
        ... on Category { posts(first: 10) { nodes { id } } } } }"""
    for a, b, dearest in ((1, 1, 10), (1, 30, 30), (20, 30, 40), (20, 50, 50)):
        assert cost(source, a=a, b=b) == 2 + 1 + dearest


def test_types_within_types_are_reckoned_once() -> None:
    """Through eight types within each other, twelve deep, there are more ways than anybody could go."""

    things = [strawberry.type(type(f"Thing{n}", (Thing,), {})) for n in range(8)]
    query = strawberry.type(type("Query", (Thing,), {}))
    of_things = strawberry.Schema(query, types=things)._schema
    document = parse("{ " + "inner { " * 12 + "__typename" + " }" * 13)
    assert cost_of(of_things, document.definitions[0], {}).evaluate({}) == 1 + 12


async def test_what_costs_too_much_is_refused_before_it_runs(client: EngineClient) -> None:
    """With both figures, and without a statement; what costs just so much is answered."""
    strict = EngineClient(client.db, client.reads, Engine(schema, client.reads, DocumentLimits(cost=42)))
    before = client.statements
    rejected = await strict.error(PAGE, {"n": 21})
    assert rejected["message"].startswith("The operation costs 44 points, more than the limit of 42")
    assert (rejected["extensions"]["code"], rejected["extensions"]["status"]) == ("VALIDATION_ERROR", 400)
    assert client.statements == before
    assert await strict.data(PAGE, {"n": 20})


async def test_an_answer_that_is_too_large_is_refused(client: EngineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words that say what to do; one that is smaller is answered, and the refusal is not kept."""
    source = "query($n: Int) { a: posts(first: $n) { nodes { content } } b: posts(first: $n) { nodes { content } } }"
    monkeypatch.setattr(result, "MAX_RESPONSE_CHARACTERS", 400)
    for _ in range(2):
        rejected = await client(source, {"n": 15})
        assert (rejected["data"], len(rejected["errors"])) == (None, 1)
        error = rejected["errors"][0]
        assert error["message"] == "The response is larger than 400 characters; request fewer rows or fewer fields"
        assert error["extensions"]["code"] == "VALIDATION_ERROR"
    assert len((await client.data(source, {"n": 2}))["b"]["nodes"]) == 2
    monkeypatch.undo()
    assert len((await client.data(source, {"n": 15}))["b"]["nodes"]) > 2

"""Documents made to cost more than they should."""

import time

import pytest

from tests.benchmarks.hostile import BOUND, DOCUMENTS, document_of
from tests.support.servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)]

CIRCLE = "fragment A on User { ...B } fragment B on User { ...A }"
DEEP = "{ posts { nodes { author { " + "posts { nodes { author { " * 4 + "id" + " } } } " * 4 + "} } } }"
DIRECTIVES = "{ viewer { ... " + "@include(if: true) " * 50 + "{ id } } }"
UNKNOWN = "{ __typename " + "@aa" * 10 + " }"
INTROSPECTION = "{ __schema { types { " + "fields { type { " * 8 + "name " + "} } " * 8 + "} } }"

BOMBS = {
    "aliases": ("{ viewer { " + " ".join(f"a{n}: id" for n in range(40)) + " } }", "uses more aliases than 30"),
    "root fields": ("{ " + " ".join(f"a{n}: __typename" for n in range(25)) + " }", "more root fields than 20"),
    "fragments in a circle": (f"{{ viewer {{ ...A }} }} {CIRCLE}", "Cannot spread fragment 'A' within itself via 'B'."),
    "directives": (DIRECTIVES, "The directive '@include' can only be used once at this location."),
    "directives at a field": (UNKNOWN, "has more directives at a field than 5"),
    "depth": (DEEP, "The operation is nested deeper than 12"),
    "rows": (
        "{ posts(first: 100) { nodes { comments(first: 100) { nodes { post { comments(first: 100) { totalCount }"
        " } } } } } }",
        "The operation costs ",
    ),
    "introspection in circles": (INTROSPECTION, "Maximum introspection depth exceeded"),
    "one field, often": (f"{{ viewer {{ {'id ' * 490} }} }}", "The document repeats too many fields"),
    "fragments in a row": (document_of("fragments in a row"), "nests its fragments too deeply"),
    "tokens": ("{ viewer { " + "id " * 3000 + "} }", "Document contains more than 2000 tokens"),
    "nesting without end": ("{ a" * 5000, "Document is nested too deeply"),
    "digits": ("{ posts(first: " + "9" * 5000 + ") { totalCount } }", "A number has too many digits"),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_is_refused_before_it_is_run(server: Server, name: str) -> None:
    """400, in words that say what is too much."""
    document, words = BOMBS[name]
    response = await server.anonymous.post("/graphql", json={"query": document})
    assert response.status_code == 400
    error = response.json()["errors"][0]
    assert (words in error["message"], error["extensions"]["code"]) == (True, "VALIDATION_ERROR"), error["message"]


async def test_a_bomb_of_batches_is_refused_whole(make_server) -> None:
    """None of it is run."""
    server = await make_server(graphql_max_batch=10)
    response = await server.anonymous.post("/graphql", json=[{"query": "{ __typename }"}] * 11)
    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_no_document_holds_the_event_loop(server: Server) -> None:
    """It is read aside: what the loop itself spends on one is little, however busy the machine is.

    How late that makes others is measured by the benchmark, at a quiet moment.
    """
    spent = {}
    for name in DOCUMENTS:
        before = time.thread_time()
        response = await server.anonymous.post("/graphql", json={"query": document_of(name)})
        spent[name] = time.thread_time() - before
        assert response.status_code in (200, 400), (name, response.text[:200])
        codes = {error["extensions"]["code"] for error in response.json().get("errors", ())}
        assert codes <= {"VALIDATION_ERROR"}, (name, codes)
    assert {name: seconds for name, seconds in spent.items() if seconds > BOUND} == {}

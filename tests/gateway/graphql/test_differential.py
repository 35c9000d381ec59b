"""Generated queries: the engine on either database, and graphql-core over Python lists, say the same."""

import os
import re
from collections.abc import Sequence
from itertools import cycle

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans
from hypothesis_graphql import queries

from models import Viewer
from schema import schema
from schema.types import PostOrder
from tests.gateway.graphql import world
from tests.gateway.graphql.conftest import EngineClient
from tests.gateway.graphql.oracle import Oracle
from tests.gateway.graphql.rewriting import reworded

FUZZING = "ENGINE_EXAMPLES" in os.environ
QUESTIONS = settings(
    max_examples=int(os.environ.get("ENGINE_EXAMPLES", "60")),
    deadline=None,
    database=None,
    derandomize=not FUZZING,
    phases=[Phase.generate, *([Phase.shrink] if FUZZING else [])],
    suppress_health_check=list(HealthCheck),
)
SDL = schema.as_str()
IDS = [str(row.id) for rows in world.ROWS.values() for row in rows[:8]]
STRINGS = r'("(?:[^"\\]|\\.)*"|-?\d+)'
LEAVES = re.compile(r"\b(cursor|startCursor|endCursor)\b")
SIZES = re.compile(r"\b(first|last|limit|page): (-?\d+)")
CURSORS = re.compile(rf"\b(after|before): {STRINGS}")
NAMES = {
    re.compile(rf"\b(id|authorId|categoryId): {STRINGS}"): IDS,
    re.compile(rf"\b(slug): {STRINGS}"): [post.slug for post in world.POSTS],
    re.compile(rf"\b(tag): {STRINGS}"): [tag.slug for tag in world.TAGS],
    re.compile(rf"\b(q): {STRINGS}"): ["strasse", "%", "_", "Content 1", "é", "\\\\", ""],
}


def tamed(source: str, viewer: Viewer | None, cursors: Sequence[str] = ()) -> str:
    """Sizes in range, and things that exist: so that most queries find something."""
    source = SIZES.sub(lambda found: f"{found[1]}: {abs(int(found[2])) % 5 + 1}", source)
    for pattern, values in {**NAMES, CURSORS: [*cursors, ""]}.items():
        chosen = cycle(values[len(source) % len(values) :] + values)
        source = pattern.sub(lambda found, chosen=chosen: f'{found[1]}: "{next(chosen)}"', source)
    return source if viewer and viewer.is_admin else source.replace("deleted: true", "deleted: false")


def without_cursors(source: str) -> str:
    """They are another test's."""
    return CURSORS.sub(r"\1: null", LEAVES.sub("__typename", source))


@given(source=queries(SDL, allow_null=True), in_other_words=booleans())
@QUESTIONS
async def test_the_engine_answers_as_graphql_core_over_lists_does(
    client: EngineClient, source: str, in_other_words: bool
) -> None:
    """For nobody, somebody and an admin alike, down to the order of the keys."""
    for viewer in world.VIEWERS:
        request = tamed(without_cursors(source), viewer)
        words, variables = reworded(schema._schema, request) if in_other_words else (request, None)
        expected, result = Oracle(SDL, viewer).answer(request), await client(words, variables, viewer)
        assert ("errors" in result, result["data"]) == ("errors" in expected, expected["data"]), (words, variables)
        assert list(result["data"] or ()) == list(expected["data"] or ())


@pytest.fixture(scope="session")
async def cursors(clients: list[EngineClient]) -> list[str]:
    """Some of each order."""
    lists = "\n".join(
        f"{order.name}: posts(first: 9, orderBy: {order.name}) {{ edges {{ cursor }} }}" for order in PostOrder
    )
    result = await clients[0].data(f"{{ {lists} }}")
    return [
        edge["cursor"] for edges in zip(*(each["edges"] for each in result.values()), strict=True) for edge in edges
    ]


@given(source=queries(SDL, allow_null=True))
@QUESTIONS
async def test_both_databases_say_the_same(clients: list[EngineClient], cursors: list[str], source: str) -> None:
    """To the byte: cursors and refusals too."""
    for viewer in world.VIEWERS:
        request = tamed(source, viewer, cursors)
        one, other = [await client(request, viewer=viewer) for client in clients]
        assert orjson.dumps(one) == orjson.dumps(other), request

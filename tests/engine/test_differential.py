"""Generated queries: the engine on either database, and graphql-core over Python lists, say the same."""

import os
import re
from itertools import cycle

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis_graphql import queries

from models import Viewer
from schema import schema
from tests.engine import world
from tests.engine.conftest import Asking
from tests.engine.oracle import Oracle

EXAMPLES = int(os.environ.get("ENGINE_EXAMPLES", "60"))
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


def tamed(source: str, viewer: Viewer | None) -> str:
    """Cursors out, sizes in range, things that exist: so that most queries find something."""
    source = CURSORS.sub(r"\1: null", LEAVES.sub("__typename", source))
    source = SIZES.sub(lambda found: f"{found[1]}: {abs(int(found[2])) % 5 + 1}", source)
    for pattern, values in NAMES.items():
        chosen = cycle(values[len(source) % len(values) :] + values)
        source = pattern.sub(lambda found, chosen=chosen: f'{found[1]}: "{next(chosen)}"', source)
    return source if viewer and viewer.is_admin else source.replace("deleted: true", "deleted: false")


@given(source=queries(SDL, allow_null=True))
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="ENGINE_EXAMPLES" not in os.environ,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
async def test_the_engine_answers_as_graphql_core_over_lists_does(ask: Asking, source: str) -> None:
    """For nobody, somebody and an admin alike, down to the order of the keys."""
    for viewer in world.VIEWERS:
        asked = tamed(source, viewer)
        expected, told = Oracle(SDL, viewer).answer(asked), await ask(asked, viewer=viewer)
        assert ("errors" in told, told["data"]) == ("errors" in expected, expected["data"]), asked
        assert list(told["data"] or ()) == list(expected["data"] or ())

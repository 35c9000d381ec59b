"""Documents made to be slow, none above 100 kB, and how long each holds up everyone else.

    python -m tests.benchmarks.hostile

sends each of them to a server in this process while a probe in the same event loop says how late it is woken. At a
quiet moment it is never later than 50 ms. The other numbers are processor time: the event loop's own, and all of it.
"""

import asyncio
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from models.migrations import upgrade
from tests.support.servers import Server, open_server

LARGEST = 100_000
BOUND = 0.05
TICK = 0.001


def nested(opening: str, times: int, closing: str, inner: str = "id") -> str:
    return opening * times + inner + closing * times


def fragments(count: int, *, spread: str, on: str = "User") -> str:
    """A document whose fragments are there to be compared with each other."""
    defined = " ".join(f"fragment F{n} on {on} {{ {spread.replace('#', str(n + 1))} }}" for n in range(count))
    return f"{{ viewer {{ id ...F0 }} }} {defined} fragment F{count} on {on} {{ id }}"


def document_of(name: str) -> str:
    assert len(DOCUMENTS[name]) <= LARGEST, name
    return DOCUMENTS[name]


EVERY = " ".join(f"...F{n}" for n in range(180))
SIGN_INS = " ".join(
    f'a{n}: login(input: {{email: "a{n}@example.com", password: "b"}}) {{ accessToken }}' for n in range(1200)
)
AUTHORS = "author { id } " * 11

DOCUMENTS = {
    "aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(5000)) + " }",
    "batches of sign-ins by alias": f"mutation {{ {SIGN_INS} }}",
    "one field, often": f"{{ viewer {{ {'id ' * 490} }} }}",
    "one field with a selection, often": f"{{ posts {{ nodes {{ {'author { name } ' * 245} }} }} }}",
    "the same in a fragment that nobody spreads": f"{{ viewer {{ id }} }} fragment A on User {{ {'id ' * 1900} }}",
    "and with a selection": f"{{ viewer {{ id }} }} fragment A on Post {{ {'author { name } ' * 480} }}",
    "fragments in a row": fragments(190, spread="id name ...F#"),
    "fragments in a circle": fragments(190, spread="id ...F#").replace("F190 on User { id", "F190 on User { ...F0"),
    "every fragment at once": f"{{ viewer {{ id {EVERY} }} }} "
    + " ".join(f"fragment F{n} on User {{ id }}" for n in range(180)),
    "inline fragments": f"{{ viewer {{ {'... { id } ' * 480} }} }}",
    "inline fragments in each other": "{ " + nested("... { ", 900, "} ", "viewer { id } ") + "}",
    "fields in each other": "{ a" * 900,
    "braces alone": "{" * 90_000,
    "a list in lists": f"{{ posts(filter: {{q: {nested('[', 900, ']', '1')}}}) {{ totalCount }} }}",
    "an object in objects": f"{{ posts(filter: {nested('{a: ', 400, '}', '1')}) {{ totalCount }} }}",
    "a type of lists": f"query($a: {nested('[', 900, ']', 'Int')}) {{ viewer {{ id }} }}",
    "variables": "query(" + "".join(f"$v{n}: Int " for n in range(6000)) + ") { viewer { id } }",
    "operations": " ".join(f"query Q{n} {{ viewer {{ id }} }}" for n in range(220)),
    "directives": f"{{ viewer {{ id {'@include(if: true) ' * 240} }} }}",
    "directives that nobody knows": f"{{ viewer {{ id {'@a ' * 900} }} }}",
    "arguments in conflict": "{ posts { nodes { "
    + " ".join(f"comments(first: {n % 9 + 1}) {{ totalCount }}" for n in range(150))
    + " } } }",
    "an argument, often": f"{{ posts({'first: 1 ' * 600}) {{ totalCount }} }}",
    "a field of an input, often": '{ posts(filter: {' + 'q: "a" ' * 600 + '}) { totalCount } }',
    "what may be of any type, often": "{ "
    + " ".join(f'n{n}: node(id: "x") {{ id ... on Post {{ {AUTHORS}}} }}' for n in range(20))
    + " }",
    "introspection in circles": "{ __schema { types { " + nested("fields { type { ", 8, "} } ", "name ") + "} } }",
    "introspection in width": "{ __schema { types { " + "fields { name type { name } } " * 60 + "} } }",
    "a long name": f"{{ {'p' * 90_000} }}",
    "names that are nearly right": f"{{ viewer {{ {' '.join(f'nam{n}' for n in range(400))} }} }}",
    "a long text": '{ post(slug: "' + 'a' * 90_000 + '") { id } }',
    "a text of escapes": '{ post(slug: "' + r'\u0041' * 15_000 + '") { id } }',
    "a block of lines": '{ post(slug: """' + '\n  a' * 20_000 + '""") { id } }',
    "a number of digits": f"{{ posts(first: {'9' * 90_000}) {{ totalCount }} }}",
    "a fraction of digits": f"{{ posts(first: {'9' * 40_000}.{'9' * 40_000}) {{ totalCount }} }}",
    "comments": "# login\n" * 12_000 + "{ viewer { id } }",
    "commas": "," * 95_000 + "{ viewer { id } }",
}  # fmt: skip


async def lateness(server: Server, document: str) -> tuple[float, float]:
    """How late the probe was woken at most while a document was answered, and the loop's own processor time."""
    latest, stopped = 0.0, asyncio.Event()

    async def probe() -> None:
        nonlocal latest
        while not stopped.is_set():
            asked = time.perf_counter()
            await asyncio.sleep(TICK)
            latest = max(latest, time.perf_counter() - asked - TICK)

    probing = asyncio.create_task(probe())
    await asyncio.sleep(0.01)
    before = time.thread_time()
    await server.anonymous.post("/graphql", json={"query": document})
    own = time.thread_time() - before
    stopped.set()
    await probing
    return latest, own


async def main() -> int:
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder, 'hostile.db')}"
        await upgrade(url)
        async with open_server(url) as server:
            worst = 0.0
            for name in DOCUMENTS:
                started = time.process_time()
                late, own = await lateness(server, document_of(name))
                spent, worst = time.process_time() - started, max(worst, late)
                print(
                    f"{name:45} late {late * 1e3:6.1f} ms   in the loop {own * 1e3:6.1f} ms   all {spent * 1e3:7.1f} ms"
                )
    print(f"{'the latest':45} late {worst * 1e3:6.1f} ms, where {BOUND * 1e3:.0f} are allowed")
    return int(worst > BOUND)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))

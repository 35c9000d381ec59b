"""A write that its sender names takes effect once, however often it is sent, and whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select, text, update

from gateway.persisted.resolver import digest
from models import Database, IdempotencyKey, Post, Upload, utcnow
from resolvers.idempotency import delete_expired
from resolvers.tokens import Tokens
from tests.support.accounts import Account, sign_up
from tests.support.api_keys import READ_ONLY, create_machine
from tests.support.processes import ServerProcess
from tests.support.servers import SECRET, Server
from tests.support.uploads import make_image
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.writing import CONTENT, count_rows, get_event_types

CREATE = """mutation($input: CreatePostInput!) {
    createPost(input: $input) { id slug content tags { name } comments { totalCount } } }"""
REPLAYED = "idempotency-replayed"
NAME = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}

Send = Callable[..., Any]


def over_graphql(
    http: httpx.AsyncClient, viewer: Account | None, title: str, content: str = CONTENT, **headers: str
) -> Any:
    body = {"query": CREATE, "variables": {"input": {"title": title, "content": content}}}
    return http.post("/graphql", json=body, headers={**(viewer.headers if viewer else {}), **headers})


def over_rest(
    http: httpx.AsyncClient, viewer: Account | None, title: str, content: str = CONTENT, **headers: str
) -> Any:
    body = {"title": title, "content": content}
    return http.post("/api/posts", json=body, headers={**(viewer.headers if viewer else {}), **headers})


@pytest.fixture(params=[over_graphql, over_rest])
def send(request: pytest.FixtureRequest) -> Send:
    """Write a post over either protocol."""
    return request.param


def heart(response: httpx.Response) -> Any:
    """What an answer is but for who was told when."""
    kept = {name: response.headers.get(name) for name in ("content-type", "etag", "location")}
    return response.status_code, kept, response.content


def code(response: httpx.Response) -> str:
    body = response.json()
    return body["code"] if "code" in body else body["errors"][0]["extensions"]["code"]


async def test_a_write_sent_twice_is_done_once_and_answered_twice(server: Server, author: Account, send: Send):
    """In the same words, with a header that says so."""
    first, second = [await send(server.anonymous, author, "Once", **NAME) for _ in range(2)]
    assert first.status_code in (200, 201)
    assert heart(second) == heart(first)
    assert (first.headers.get(REPLAYED), second.headers[REPLAYED]) == (None, "true")
    assert await get_event_types(server.db) == ["post.created"]


async def test_twenty_at_once_are_one(server: Server, author: Account, send: Send):
    """Whoever comes second waits for the first one's answer."""
    responses = await asyncio.gather(*(send(server.anonymous, author, "At once", **NAME) for _ in range(20)))
    assert [heart(response) for response in responses] == [heart(responses[0])] * 20
    assert sorted(response.headers.get(REPLAYED, "") for response in responses) == ["", *["true"] * 19]
    assert await get_event_types(server.db) == ["post.created"]


async def test_a_name_belongs_to_what_was_first_asked_with_it(server: Server, author: Account, send: Send):
    """Another body is refused, and does nothing."""
    await send(server.anonymous, author, "The first", **NAME)
    other = await send(server.anonymous, author, "Another", **NAME)
    assert (other.status_code, code(other)) == (422, "IDEMPOTENCY_MISMATCH")
    assert await get_event_types(server.db) == ["post.created"]


async def test_each_viewer_has_names_of_their_own(server: Server, author: Account, stranger: Account, send: Send):
    """The same name of somebody else's is another."""
    responses = [await send(server.anonymous, viewer, "Mine", **NAME) for viewer in (author, stranger)]
    assert [response.headers.get(REPLAYED) for response in responses] == [None, None]
    assert await get_event_types(server.db) == ["post.created"] * 2


async def test_what_was_refused_may_be_tried_again_under_its_name(server: Server, author: Account, send: Send):
    """A refusal had no effect, so there is nothing to repeat."""
    assert code(await send(server.anonymous, author, "", **NAME)) == "VALIDATION_ERROR"
    assert (await send(server.anonymous, author, "Better", **NAME)).status_code in (200, 201)
    assert await get_event_types(server.db) == ["post.created"]


WRONG = ["", " ", '"', '""', "x" * 256, f'"{"x" * 256}"', "two words", "ü", "a\tb"]
UNBALANCED = ['"k', 'k"', '"a"b"', '"a\\"', r'"a\b"', '"a" b', '"a", "b"']


@pytest.mark.parametrize("key", WRONG + UNBALANCED)
async def test_a_name_must_be_one(server: Server, author: Account, send: Send, key: str):
    """What is no name is refused before anything is done."""
    response = await send(server.anonymous, author, "Post", **{"Idempotency-Key": key.encode()})
    assert (response.status_code, code(response)) == (400, "VALIDATION_ERROR")
    assert await get_event_types(server.db) == []


@pytest.mark.parametrize(
    ("key", "same"),
    [('"k-1"', "k-1"), ('"k-1";v=1', "k-1"), ('\t"k-1" ; v', '"k-1"'), (r'"a\\b"', r"a\b"), (r'"two \"words\""',) * 2],
)
async def test_a_name_may_stand_between_quotation_marks(server: Server, author: Account, key: str, same: str):
    """As the draft has it, a string of RFC 8941, or without, as others do: it is the same name."""
    responses = [
        await over_rest(server.anonymous, author, "Quoted", **{"Idempotency-Key": each}) for each in (key, same)
    ]
    assert [response.headers.get(REPLAYED) for response in responses] == [None, "true"]


async def test_a_request_has_one_name(server: Server, author: Account):
    """Whichever of two was meant, nothing is done."""
    headers = [*author.headers.items(), ("Idempotency-Key", "first"), ("Idempotency-Key", "second")]
    body = {"title": "Twice named", "content": CONTENT}
    response = await server.anonymous.post("/api/posts", json=body, headers=headers)
    assert (response.status_code, response.json()["details"]) == (400, {"Idempotency-Key": ["must be given once"]})
    assert await get_event_types(server.db) == []


async def test_a_name_is_refused_where_it_would_keep_nothing_from_being_done_twice(server: Server, author: Account):
    """Files are kept twice, and a model is asked twice."""
    headers, talk = {**author.headers, **NAME}, {"messages": [{"role": "user", "content": "Hello"}]}
    for response in (
        await server.anonymous.post(
            "/api/upload", files={"file": ("a.png", make_image(), "image/png")}, headers=headers
        ),
        await server.anonymous.post("/api/chat", json=talk, headers=headers),
    ):
        assert (response.status_code, code(response)) == (400, "VALIDATION_ERROR")
        assert list(response.json()["details"]) == ["Idempotency-Key"]
    assert await count_rows(server.db, [Upload]) == {"uploads": 0}


async def test_a_stranger_is_refused_as_ever(server: Server, send: Send):
    """A name makes nobody a viewer."""
    assert code(await send(server.anonymous, None, "Post", **NAME)) == "UNAUTHORIZED"


async def test_conditions_and_methods_are_part_of_the_cache_key(server: Server, author: Account):
    """A PATCH under another condition is another request; DELETE can be named too."""
    http = server.anonymous
    post = (await over_rest(http, author, "A post")).json()["data"]["id"]

    async def change(method: str, key: str, match: str, **options: Any) -> httpx.Response:
        headers = {**author.headers, "Idempotency-Key": key, "If-Match": match}
        return await http.request(method, f"/api/posts/{post}", headers=headers, **options)

    edit = {"json": {"excerpt": "New"}}
    first, again = [await change("PATCH", "edit", '"1"', **edit) for _ in range(2)]
    assert (first.status_code, heart(again), again.headers[REPLAYED]) == (200, heart(first), "true")
    assert (await change("PATCH", "edit", '"2"', **edit)).status_code == 422
    assert [(await change("DELETE", "gone", '"2"')).status_code for _ in range(2)] == [204, 204]
    assert await get_event_types(server.db) == ["post.created", "post.updated", "post.deleted"]


async def test_a_mutation_of_several_fields_is_one_request(server: Server, author: Account):
    """Each field is a transaction of its own, and none is repeated."""
    document = """mutation { a: createPost(input: {title: "A", content: "Long enough."}) { id }
                             b: createPost(input: {title: "B", content: "Long enough."}) { id } }"""

    async def ask() -> httpx.Response:
        return await server.anonymous.post("/graphql", json={"query": document}, headers={**author.headers, **NAME})

    first, second = await ask(), await ask()
    assert (first.json(), second.headers[REPLAYED]) == (second.json(), "true")
    assert await get_event_types(server.db) == ["post.created"] * 2


async def test_sign_in_responses_are_never_stored(server: Server, author: Account):
    """Tokens are for whoever has just shown the password."""
    newcomer = {"name": "Nan", "email": "nan@example.com", "password": "a long password"}
    body = {
        "query": "mutation($input: RegisterInput!) { register(input: $input) { accessToken } }",
        "variables": {"input": newcomer},
    }
    responses = [
        await server.anonymous.post("/graphql", json=body, headers={**author.headers, **NAME}) for _ in range(2)
    ]
    assert ["data" in response.json() and response.json()["data"] is not None for response in responses] == [
        True,
        False,
    ]
    assert code(responses[1]) == "CONFLICT"
    async with server.db.reading() as session:
        assert await session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0


@asynccontextmanager
async def unreadable(db: Database) -> AsyncIterator[None]:
    """Posts can be written meanwhile, and cannot be read: a table that every answer needs is not there."""
    await rename(db, "tags", "tags_elsewhere")
    try:
        yield
    finally:
        await rename(db, "tags_elsewhere", "tags")


async def rename(db: Database, table: str, name: str) -> None:
    async with db.engine.begin() as connection:
        await connection.execute(text(f"alter table {table} rename to {name}"))


async def age(db: Database, by: timedelta) -> None:
    """Have every name been given so much earlier."""
    async with db.writing() as session:
        await session.execute(update(IdempotencyKey).values(created_at=utcnow() - by))


def id_of(response: httpx.Response) -> str:
    """Of the post that was written."""
    data = response.json()["data"]
    return data.get("createPost", data)["id"]


def said_changed(response: httpx.Response) -> Any:
    """What a refusal says was changed already."""
    assert (response.status_code, code(response)) == (409, "CONFLICT")
    body = response.json()
    return (body if "details" in body else body["errors"][0]["extensions"])["details"]["changed"]


async def test_a_retryable_response_is_not_stored(server: Server, author: Account, send: Send):
    """Whoever does is told what stands already, rather than to try again for a day."""
    async with unreadable(server.db):
        assert code(await send(server.anonymous, author, "Written", **NAME)) == "INTERNAL_ERROR"
    await age(server.db, timedelta(minutes=1))
    again = await send(server.anonymous, author, "Written", **NAME)
    assert said_changed(again) == [str(await only_post(server.db))]
    assert await get_event_types(server.db) == ["post.created"]


async def test_a_response_that_is_too_large_is_not_stored(server: Server, author: Account, send: Send):
    """Keys would be storage for whoever likes; what it changed can be read."""
    for letters in (60_000, 70_000):
        name = {"Idempotency-Key": f"{letters}"}
        first = await send(server.anonymous, author, "Long", "x" * letters, **name)
        await age(server.db, timedelta(minutes=1))
        again = await send(server.anonymous, author, "Long", "x" * letters, **name)
        assert (again.headers.get(REPLAYED) == "true") == (len(first.content) <= 64 * 1024)
    assert said_changed(again) == [id_of(first)]
    assert await get_event_types(server.db) == ["post.created"] * 2


async def test_an_answer_is_given_again_in_the_form_that_is_asked_for(server: Server, author: Account):
    """The same answer, whatever the media types that it was asked for in."""
    types = "application/json", "text/event-stream", "application/graphql-response+json"
    responses = [await over_graphql(server.anonymous, author, "Once", **NAME, Accept=accept) for accept in types]
    plain, stream, newer = responses
    assert [response.headers["content-type"].partition(";")[0] for response in responses] == list(types)
    assert (newer.content, stream.text) == (
        plain.content,
        f"event: next\ndata: {plain.text}\n\nevent: complete\ndata:\n\n",
    )
    assert await get_event_types(server.db) == ["post.created"]


WRITE = 'createPost(input: {title: "Beside", content: "Long enough to be one."}) { id }'
REGISTER = 'register(input: {name: "Nan", email: "nan@example.com", password: "a long password"}) { accessToken }'


@pytest.mark.parametrize(
    "body",
    [
        {"query": f"mutation {{ {REGISTER} {WRITE} }}"},
        [
            {"query": f"mutation {{ {WRITE} }}"},
            {"query": f"mutation {{ ...All }} fragment All on Mutation {{ {REGISTER} }}"},
        ],
    ],
    ids=["one document", "a batch"],
)
async def test_a_name_is_not_overlooked_where_somebody_signs_in_beside_a_write(make_server, author: Account, body: Any):
    """It could not count for the write, so nothing is done."""
    server = await make_server(graphql_max_batch=2)
    response = await server.anonymous.post("/graphql", json=body, headers={**author.headers, **NAME})
    assert (response.status_code, code(response)) == (400, "VALIDATION_ERROR")
    assert list(response.json()["errors"][0]["extensions"]["details"]) == ["Idempotency-Key"]
    assert await get_event_types(server.db) == []


async def test_the_same_is_asked_however_its_document_is_named(server: Server, author: Account):
    """By its text and hash or by its hash alone, and with variables in whatever order."""
    hashed = {"persistedQuery": {"version": 1, "sha256Hash": digest(CREATE)}}
    texts = {"title": "Once", "content": CONTENT}
    bodies = [
        {"query": CREATE, "extensions": hashed, "variables": {"input": texts}},
        {"variables": {"input": dict(reversed(texts.items()))}, "extensions": hashed},
        {"query": CREATE, "variables": {"input": texts}, "operationName": None},
    ]
    headers = {**author.headers, **NAME}
    first, *others = [await server.anonymous.post("/graphql", json=body, headers=headers) for body in bodies]
    assert [(heart(other), other.headers[REPLAYED]) for other in others] == [(heart(first), "true")] * 2
    assert await get_event_types(server.db) == ["post.created"]


async def test_one_request_and_a_batch_of_it_are_not_the_same(make_server, author: Account):
    """Their answers have other shapes; a batch is repeated like anything else."""
    server, body = await make_server(graphql_max_batch=2), {"query": f"mutation {{ {WRITE} }}"}
    headers = {**author.headers, **NAME}
    first, again, alone = [
        await server.anonymous.post("/graphql", json=requests, headers=headers) for requests in ([body], [body], body)
    ]
    assert (heart(again), again.headers[REPLAYED]) == (heart(first), "true")
    assert (alone.status_code, code(alone)) == (422, "IDEMPOTENCY_MISMATCH")


async def test_variables_without_end_are_refused(server: Server, author: Account):
    """Also where they have to be compared."""
    nested: Any = {}
    for _ in range(500):
        nested = {"deeper": nested}
    body = {"query": CREATE, "variables": {"input": nested}}
    response = await server.anonymous.post("/graphql", json=body, headers={**author.headers, **NAME})
    assert (response.status_code, code(response)) == (400, "VALIDATION_ERROR")


async def test_a_key_that_may_only_read_is_not_told_what_was_written(server: Server, author: Account, send: Send):
    """Its account's other keys may write, and what they were answered is theirs."""
    assert (await send(server.anonymous, author, "Written", **NAME)).status_code in (200, 201)
    rejected = await send(
        server.anonymous, await create_machine(server.db, READ_ONLY, acting_as=author), "Written", **NAME
    )
    assert (code(rejected), rejected.headers.get(REPLAYED)) == ("FORBIDDEN", None)


@pytest.mark.parametrize("key", ["written", "", "two words"])
async def test_what_only_reads_has_no_need_of_a_name(server: Server, author: Account, key: str):
    """It may be given one by a client that names whatever it sends, even one that it gave to a write."""
    headers = {**author.headers, "Idempotency-Key": key}
    await over_graphql(server.anonymous, author, "Written", **{"Idempotency-Key": "written"})
    ask = {"query": "{ viewer { name } }"}
    responses = [
        await server.anonymous.post("/graphql", json=ask, headers=headers),
        await server.anonymous.get("/graphql", params=ask, headers=headers),
        await server.anonymous.get("/api/posts", headers=headers),
    ]
    assert [(response.status_code, response.headers.get(REPLAYED)) for response in responses] == [(200, None)] * 3


async def test_names_are_forgotten_after_a_day(server: Server, author: Account, send: Send):
    """And may then be given anew."""
    await send(server.anonymous, author, "Today", **NAME)
    assert await delete_expired(server.db) == 0
    await age(server.db, timedelta(hours=25))
    assert await delete_expired(server.db) == 1
    assert (await send(server.anonymous, author, "Tomorrow", **NAME)).headers.get(REPLAYED) is None


async def test_a_server_killed_between_effect_and_answer_has_done_it_once(postgres_url: str, tmp_path: Path):
    """Its client is told what was changed, instead of changing it again."""
    db = Database(postgres_url, pool_size=3)
    account = await sign_up(db, Tokens(SECRET), name="Ann")
    async with (
        ServerProcess(tmp_path, postgres_url) as process,
        httpx.AsyncClient(base_url=process.address, timeout=TEST_TIMEOUT_SECONDS) as http,
    ):
        async with db.engine.connect() as holder:
            await holder.execute(text("LOCK TABLE comments IN ACCESS EXCLUSIVE MODE"))  # the answer reads them
            asking = asyncio.create_task(over_graphql(http, account, "Once", **NAME))
            id = await until(lambda: only_post(db))
            await process.kill()
            await asyncio.gather(asking, return_exceptions=True)
        await process.start()
        response = await over_graphql(http, account, "Once", **NAME)
        assert (response.status_code, code(response)) == (409, "CONFLICT")
        assert response.json()["errors"][0]["extensions"]["details"] == {"changed": [str(id)]}
        assert await get_event_types(db) == ["post.created"]
    await db.close()


def long_redis_timeout(address: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, timeout=TEST_TIMEOUT_SECONDS)


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    """Look again and again until there is something."""
    for _ in range(2_000):
        if found_at_last := await found():
            return found_at_last
        await asyncio.sleep(0.01)
    raise TimeoutError


async def at_least(db: Database, many: int) -> bool:
    return len(await get_event_types(db)) >= many


async def only_post(db: Database) -> Any:
    async with db.reading() as session:
        return await session.scalar(select(Post.id))


async def test_a_burst_that_is_cut_and_sent_again_is_done_once(database_url: str, tmp_path: Path):
    """The server is killed while six writers write; all that was sent is sent again."""
    db = Database(database_url, pool_size=2)
    account = await sign_up(db, Tokens(SECRET), name="Ann")
    titles = [f"Post {number}" for number in range(24)]

    async def write(http: httpx.AsyncClient, mine: list[str]) -> None:
        for title in mine:
            await over_rest(http, account, title, **{"Idempotency-Key": title.replace(" ", "-")})

    async def burst(address: str) -> None:
        async with long_redis_timeout(address) as http:
            await asyncio.gather(*(write(http, titles[n::6]) for n in range(6)), return_exceptions=True)

    async with ServerProcess(tmp_path, database_url) as process:
        cut = asyncio.create_task(burst(process.address))
        await until(lambda: at_least(db, 8))
        await process.kill()
        await cut
        await process.start()
        await burst(process.address)
    async with db.reading() as session:
        written = sorted(await session.scalars(select(Post.title)))
    assert written == sorted(titles)
    assert await get_event_types(db) == ["post.created"] * len(titles)
    await db.close()

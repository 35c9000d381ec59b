"""The floor: raw ASGI and asyncpg, one statement by hand that returns JSON; nothing that a real server must do.

With FLOOR_COUNTS set the list's total is counted for each request; without it, once.
"""

import os
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from uuid_utils.compat import uuid7

PUBLIC = "status = 'PUBLISHED' and deleted_at is null"
TOTAL = f"select count(*) from posts where {PUBLIC}"
AUTHOR = "(select row_to_json(u) from (select id, name, image from users where id = author_id) u) as author"
LIST = f"""
select json_build_object('data', json_build_object('postPage', json_build_object('total', %s, 'data', (
  select coalesce(json_agg(row_to_json(p)), '[]') from (
    select id, title, slug, excerpt, published_at as "publishedAt", {AUTHOR},
      comment_count as "commentCount", like_count as "likeCount"
    from (select * from posts where {PUBLIC} order by created_at desc, id desc limit 20 offset $1) page) p))))
"""
DETAIL = f"""
select json_build_object('data', json_build_object('post', (select row_to_json(d) from (
  select id, title, slug, content, excerpt, status, published_at as "publishedAt", {AUTHOR},
    (select row_to_json(c) from (select id, name, slug from categories where id = category_id) c) as category,
    (select coalesce(json_agg(row_to_json(t)), '[]') from (
      select id, name, slug from tags join post_tags on tag_id = id where post_id = p.id order by name, id) t) as tags,
    comment_count as "commentCount", like_count as "likeCount",
    json_build_object('nodes', (select coalesce(json_agg(row_to_json(c)), '[]') from (
      select id, content, created_at as "createdAt", {AUTHOR} from comments
      where post_id = p.id order by created_at, id limit 10) c)) as comments
  from posts p where id = $1 and {PUBLIC}) d)))
"""
INSERT = """
insert into posts (id, title, slug, content, status, author_id, created_at, updated_at, version, comment_count,
  like_count, folded_title, folded_content) values ($1, $2, $3, $4, 'DRAFT', $5, now(), now(), 1,
  0, 0, lower($2::varchar), lower($4::varchar))
"""
RECORD = "insert into events (type, entity_id, post_id, actor_id, at) values ('post.created', $1, $1, $2, now())"
CREATED = """
select json_build_object('data', json_build_object('createPost', (select row_to_json(p) from (
  select id, title, slug, status, version, created_at as "createdAt" from posts where id = $1) p)))
"""
JSON = [(b"content-type", b"application/json")]


class Unreset(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""


class App:
    pool: asyncpg.Pool
    author: UUID
    list: str

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self.live(receive, send)
        body = await self.answer(orjson.loads((await receive())["body"] or b'{"variables":{}}'))
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [*JSON, length]})
        await send({"type": "http.response.body", "body": body})
        return None

    async def answer(self, request: dict[str, Any]) -> bytes:
        variables = request["variables"]
        if "page" in variables:
            return (await self.pool.fetchval(self.list, (variables["page"] - 1) * 20)).encode()
        if "id" in variables:
            return (await self.pool.fetchval(DETAIL, variables["id"])).encode()
        if "input" in variables:
            return (await self.create(**variables["input"])).encode()
        return b'{"data":{"__typename":"Query"}}'

    async def create(self, title: str, content: str) -> str:
        id, slug = uuid7(), title.lower().replace(" ", "-")
        async with self.pool.acquire() as connection, connection.transaction():
            await connection.execute(INSERT, id, title, slug, content, self.author)
            await connection.execute(RECORD, id, self.author)
            return await connection.fetchval(CREATED, id)

    async def live(self, receive: Any, send: Any) -> None:
        await receive()
        url = os.environ["DATABASE_URL"].replace("+asyncpg", "")
        settings = {"timezone": "UTC", "jit": "off"}
        self.pool = await asyncpg.create_pool(
            url, min_size=10, max_size=10, connection_class=Unreset, server_settings=settings
        )
        self.author = await self.pool.fetchval("select id from users limit 1")
        self.list = LIST % (f"({TOTAL})" if os.environ.get("FLOOR_COUNTS") else await self.pool.fetchval(TOTAL))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})


app = App()

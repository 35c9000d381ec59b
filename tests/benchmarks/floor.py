"""The floor: raw ASGI and asyncpg, one statement by hand that returns JSON; nothing that a real server must do."""

import os
from typing import Any

import asyncpg
import orjson

LIST = """
select json_build_object('data', json_build_object('postPage', json_build_object(
  'total', (select count(*) from posts where status = 'PUBLISHED' and deleted_at is null),
  'data', (select coalesce(json_agg(json_build_object(
    'id', p.id, 'title', p.title, 'slug', p.slug, 'excerpt', p.excerpt, 'publishedAt', p.published_at,
    'author', (select json_build_object('id', u.id, 'name', u.name, 'image', u.image)
      from users u where u.id = p.author_id),
    'commentCount', p.comment_count, 'likeCount', p.like_count)), '[]') from (
      select * from posts where status = 'PUBLISHED' and deleted_at is null
      order by created_at desc, id desc limit 20 offset $1) p))))
"""
DETAIL = """
select json_build_object('data', json_build_object('post', (select json_build_object(
  'id', p.id, 'title', p.title, 'slug', p.slug, 'content', p.content, 'excerpt', p.excerpt, 'status', p.status,
  'publishedAt', p.published_at,
  'author', (select json_build_object('id', u.id, 'name', u.name, 'image', u.image)
      from users u where u.id = p.author_id),
  'category', (select json_build_object('id', c.id, 'name', c.name, 'slug', c.slug)
      from categories c where c.id = p.category_id),
  'tags', (select coalesce(json_agg(json_build_object('id', t.id, 'name', t.name, 'slug', t.slug)), '[]') from (
     select t.* from tags t join post_tags pt on pt.tag_id = t.id where pt.post_id = p.id order by t.name) t),
  'commentCount', p.comment_count, 'likeCount', p.like_count,
  'comments', json_build_object('nodes', (select coalesce(json_agg(json_build_object(
     'id', c.id, 'content', c.content, 'createdAt', c.created_at,
     'author', (select json_build_object('id', u.id, 'name', u.name, 'image', u.image)
       from users u where u.id = c.author_id))), '[]')
     from (select * from comments where post_id = p.id order by created_at, id limit 10) c))
) from posts p where p.id = $1 and p.status = 'PUBLISHED' and p.deleted_at is null)))
"""
JSON = [(b"content-type", b"application/json")]


class Unreset(asyncpg.Connection):
    def get_reset_query(self) -> str:
        return ""


class App:
    pool: asyncpg.Pool

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await self.live(receive, send)
        body = await self.answer(orjson.loads((await receive())["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        await send({"type": "http.response.body", "body": body})
        return None

    async def answer(self, request: dict[str, Any]) -> bytes:
        variables = request["variables"]
        if "page" in variables:
            return (await self.pool.fetchval(LIST, (variables["page"] - 1) * 20)).encode()
        if "id" in variables:
            return (await self.pool.fetchval(DETAIL, variables["id"])).encode()
        return b'{"data":{"__typename":"Query"}}'

    async def live(self, receive: Any, send: Any) -> None:
        await receive()
        url = os.environ["DATABASE_URL"].replace("+asyncpg", "")
        settings = {"timezone": "UTC", "jit": "off"}
        self.pool = await asyncpg.create_pool(
            url, min_size=10, max_size=10, connection_class=Unreset, server_settings=settings
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})


app = App()

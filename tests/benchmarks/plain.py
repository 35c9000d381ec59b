"""The same API as the Strawberry and SQLModel documentation teach it: objects, resolvers and DataLoaders."""

import os
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any

import strawberry
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlmodel import func, select
from strawberry.dataloader import DataLoader
from strawberry.fastapi import GraphQLRouter

import models

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10)


def loader(load: Callable[[AsyncSession, list[Any]], Any]) -> DataLoader:
    async def batch(keys: list[Any]) -> list[Any]:
        async with AsyncSession(engine) as session:
            return await load(session, keys)

    return DataLoader(batch)


def by_id(entity: type) -> Callable[[AsyncSession, list[Any]], Any]:
    async def load(session: AsyncSession, keys: list[Any]) -> list[Any]:
        rows = await session.scalars(select(entity).where(entity.id.in_(keys)))
        found = {row.id: row for row in rows}
        return [found.get(key) for key in keys]

    return load


async def tags_of(session: AsyncSession, keys: list[Any]) -> list[list[Any]]:
    link = models.PostTag
    rows = await session.execute(
        select(link.post_id, models.Tag).join(models.Tag, models.Tag.id == link.tag_id).where(link.post_id.in_(keys))
    )
    found = defaultdict(list)
    for post_id, tag in rows:
        found[post_id].append(tag)
    return [found[key] for key in keys]


@strawberry.type
class User:
    id: strawberry.ID
    name: str
    image: str | None


@strawberry.type
class Label:
    id: strawberry.ID
    name: str
    slug: str


@strawberry.type
class Comment:
    id: strawberry.ID
    content: str
    created_at: datetime
    author_id: strawberry.Private[Any]

    @strawberry.field
    async def author(self, info: strawberry.Info) -> User:
        return typed(User, await info.context["users"].load(self.author_id))


@strawberry.type
class Comments:
    nodes: list[Comment]


@strawberry.type
class Post:
    id: strawberry.ID
    title: str
    slug: str
    content: str
    excerpt: str | None
    status: strawberry.enum(models.PostStatus)
    published_at: datetime | None
    comment_count: int
    like_count: int
    author_id: strawberry.Private[Any]
    category_id: strawberry.Private[Any]

    @strawberry.field
    async def author(self, info: strawberry.Info) -> User:
        return typed(User, await info.context["users"].load(self.author_id))

    @strawberry.field
    async def category(self, info: strawberry.Info) -> Label | None:
        found = self.category_id and await info.context["categories"].load(self.category_id)
        return typed(Label, found) if found else None

    @strawberry.field
    async def tags(self, info: strawberry.Info) -> list[Label]:
        return [typed(Label, tag) for tag in await info.context["tags"].load(self.id)]

    @strawberry.field
    async def comments(self, first: int = 10) -> Comments:
        wanted = select(models.Comment).where(models.Comment.post_id == self.id)
        async with AsyncSession(engine) as session:
            rows = await session.scalars(wanted.order_by(models.Comment.created_at, models.Comment.id).limit(first))
            return Comments(nodes=[typed(Comment, row) for row in rows])


@strawberry.type
class PostPage:
    data: list[Post]
    total: int


@strawberry.type
class Query:
    @strawberry.field
    async def post_page(self, page: int = 1, limit: int = 20) -> PostPage:
        shown = (models.Post.status == models.PostStatus.PUBLISHED, models.Post.deleted_at.is_(None))
        newest = (models.Post.created_at.desc(), models.Post.id.desc())
        async with AsyncSession(engine) as session:
            wanted = select(models.Post).where(*shown).order_by(*newest)
            rows = await session.scalars(wanted.limit(limit).offset((page - 1) * limit))
            total = await session.scalar(select(func.count()).select_from(models.Post).where(*shown))
            return PostPage(data=[typed(Post, row) for row in rows], total=total)

    @strawberry.field
    async def post(self, id: strawberry.ID) -> Post | None:
        async with AsyncSession(engine) as session:
            row = await session.get(models.Post, models.posts.UUID(id))
            return typed(Post, row) if row else None


def typed(type_: type, row: Any) -> Any:
    return type_(**{field.name: getattr(row, field.name) for field in fields(type_) if field.init})


async def context() -> dict[str, DataLoader]:
    return {"users": loader(by_id(models.User)), "categories": loader(by_id(models.Category)), "tags": loader(tags_of)}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(GraphQLRouter(strawberry.Schema(Query), context_getter=context), prefix="/graphql")

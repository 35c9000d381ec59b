"""The REST half as the FastAPI and SQLModel documentation teach it: a session for each request, models in and out."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import selectinload
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models import Post, PostStatus

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10)


class Shape(BaseModel):
    model_config = ConfigDict(from_attributes=True, alias_generator=to_camel, populate_by_name=True)


class User(Shape):
    id: UUID
    name: str
    image: str | None


class Label(Shape):
    id: UUID
    name: str
    slug: str


class Item(Shape):
    id: UUID
    title: str
    slug: str
    excerpt: str | None
    status: PostStatus
    published_at: datetime | None
    author: User
    comment_count: int
    like_count: int


class Detail(Item):
    content: str
    created_at: datetime
    updated_at: datetime
    version: int
    category: Label | None
    tags: list[Label]
    viewer_has_liked: bool = False


class Pagination(Shape):
    page: int
    limit: int
    total: int
    pages: int


class Page(Shape):
    data: list[Item]
    pagination: Pagination


class One(Shape):
    data: Detail


async def session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


Session = Annotated[AsyncSession, Depends(session)]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
SHOWN = Post.status == PostStatus.PUBLISHED, Post.deleted_at.is_(None)


@app.get("/api/posts")
async def list_posts(session: Session, page: int = 1, limit: int = 20) -> Page:
    wanted = select(Post).where(*SHOWN).order_by(Post.created_at.desc(), Post.id.desc())
    posts = await session.exec(wanted.options(selectinload(Post.author)).offset((page - 1) * limit).limit(limit))
    total = (await session.exec(select(func.count()).select_from(Post).where(*SHOWN))).one()
    pages = -(-total // limit)
    return Page(data=posts.all(), pagination=Pagination(page=page, limit=limit, total=total, pages=pages))


@app.get("/api/posts/{id}")
async def get_post(session: Session, id: UUID) -> One:
    loaded = selectinload(Post.author), selectinload(Post.category), selectinload(Post.tags)
    post = (await session.exec(select(Post).where(Post.id == id, *SHOWN).options(*loaded))).one_or_none()
    if post is None:
        raise HTTPException(404, "Post not found")
    return One(data=post)

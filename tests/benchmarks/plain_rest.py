"""The REST half as the FastAPI and SQLModel documentation teach it: a session for each request, models in and out."""

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import selectinload
from sqlmodel import func, select
from sqlmodel.ext.asyncio.session import AsyncSession

import models
from models import Event, Post, PostStatus

engine = create_async_engine(os.environ["DATABASE_URL"], pool_size=10, max_overflow=0)


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


class NewPost(Shape):
    title: str
    content: str


class Created(Shape):
    id: UUID
    title: str
    slug: str
    status: PostStatus
    version: int
    created_at: datetime


class CreatedOne(Shape):
    data: Created


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


SECRET = OctKey.import_key(os.environ["AUTH_SECRET"])
BearerToken = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="/api/auth/login"))]


async def current_user(session: Session, token: BearerToken) -> models.User:
    try:
        id = UUID(jwt.decode(token, SECRET, algorithms=["HS256"]).claims["sub"])
    except (JoseError, KeyError, ValueError):
        raise HTTPException(401, "Invalid token") from None
    user = await session.get(models.User, id)
    if user is None:
        raise HTTPException(401, "Invalid token")
    return user


CurrentUser = Annotated[models.User, Depends(current_user)]


@app.post("/api/auth/login")
async def login(session: Session) -> dict[str, dict[str, str]]:
    """Return a token of the first account. Passwords are not measured."""
    user = (await session.exec(select(models.User).limit(1))).one()
    return {"data": {"accessToken": jwt.encode({"alg": "HS256"}, {"sub": str(user.id)}, SECRET)}}


@app.post("/api/posts", status_code=201)
async def create_post(session: Session, user: CurrentUser, body: NewPost) -> CreatedOne:
    post = Post(**body.model_dump(), slug=await free_slug(session, body.title), author_id=user.id)
    session.add(post)
    session.add(Event(type="post.created", entity_id=post.id, post_id=post.id, actor_id=user.id, was_public=False))
    await session.commit()
    await session.refresh(post)
    return CreatedOne(data=post)


async def free_slug(session: AsyncSession, title: str) -> str:
    slug = base = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "post"
    number = 1
    while (await session.exec(select(Post.id).where(Post.slug == slug))).first():
        slug = f"{base}-{(number := number + 1)}"
    return slug

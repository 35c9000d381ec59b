"""Queries and operations on comments."""

from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, select
from sqlalchemy import delete as delete_rows
from sqlalchemy import update as update_rows
from sqlalchemy.ext.asyncio import AsyncSession

from models import Comment, Post, Viewer
from models.errors import Forbidden, NotFound
from models.posts import IS_PUBLIC
from resolvers.context import RequestContext, requires_login
from resolvers.events import EventType, record_event
from resolvers.inputs import CommentText


def for_post(viewer: Viewer | None, post: type[Post]) -> Select[Comment]:
    """The comments on the post, oldest first."""
    return select(Comment).where(Comment.post_id == post.id).order_by(Comment.created_at, Comment.id)


def comment(viewer: Viewer | None, id: UUID) -> Select[Comment]:
    """The comment with an id."""
    return select(Comment).where(Comment.id == id)


@requires_login
async def add(ctx: RequestContext, post_id: UUID, content: CommentText) -> UUID:
    """Comment on a post."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        is_public = await adjust_comment_count(session, post_id, +1, Post.visible_to(viewer))
        if is_public is None:
            raise NotFound.for_entity("Post")
        comment = Comment(content=content, post_id=post_id, author_id=viewer.id)
        session.add(comment)
        record_event(session, EventType.COMMENT_ADDED, viewer, post_id, comment.id, is_public=is_public)
    return comment.id


@requires_login
async def delete(ctx: RequestContext, id: UUID) -> UUID:
    """Delete a comment. Allowed to its author, the post's author and admins."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        comment, post_author_id = await visible_comment(session, viewer, id)
        if viewer.id not in (comment.author_id, post_author_id) and not viewer.is_admin:
            raise Forbidden("Only its author or the post's author may delete a comment")
        await session.execute(delete_rows(Comment).where(Comment.id == id))
        is_public = await adjust_comment_count(session, comment.post_id, -1)
        record_event(session, EventType.COMMENT_DELETED, viewer, comment.post_id, id, is_public=bool(is_public))
    return id


async def visible_comment(session: AsyncSession, viewer: Viewer, id: UUID) -> Row[tuple[Comment, UUID]]:
    """Lock and return a comment that the viewer may see, and the id of its post's author, or raise `NotFound`."""
    query = select(Comment, Post.author_id).join(Post, Post.id == Comment.post_id)
    query = query.where(Comment.id == id, Post.visible_to(viewer)).with_for_update(of=Comment)
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound.for_entity("Comment")
    return row


async def adjust_comment_count(
    session: AsyncSession, post_id: UUID, delta: int, *conditions: ColumnElement[bool]
) -> bool | None:
    """Change a post's number of comments. Return whether the post is public, or None if there is no such post."""
    statement = update_rows(Post).where(Post.id == post_id, *conditions).returning(IS_PUBLIC)
    return await session.scalar(statement.values(comment_count=Post.comment_count + delta))

"""What can be asked about comments, and what can be done with them."""

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
    """What was said about a post, oldest first."""
    return select(Comment).where(Comment.post_id == post.id).order_by(Comment.created_at, Comment.id)


def comment(viewer: Viewer | None, id: UUID) -> Select[Comment]:
    """One comment."""
    return select(Comment).where(Comment.id == id)


@requires_login
async def add(ctx: RequestContext, post_id: UUID, content: CommentText) -> UUID:
    """Say something about a post."""
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
    """Take a comment away. Its author, the post's author and admins may."""
    viewer = ctx.require_viewer()
    async with ctx.db.writing() as session:
        comment, author_of_post = await visible_comment(session, viewer, id)
        if viewer.id not in (comment.author_id, author_of_post) and not viewer.is_admin:
            raise Forbidden("Only its author or the post's author may delete a comment")
        await session.execute(delete_rows(Comment).where(Comment.id == id))
        is_public = await adjust_comment_count(session, comment.post_id, -1)
        record_event(session, EventType.COMMENT_DELETED, viewer, comment.post_id, id, is_public=bool(is_public))
    return id


async def visible_comment(session: AsyncSession, viewer: Viewer, id: UUID) -> Row[tuple[Comment, UUID]]:
    """A comment that the viewer may see, held until the transaction ends, and who wrote the post that it is on."""
    wanted = select(Comment, Post.author_id).join(Post, Post.id == Comment.post_id)
    wanted = wanted.where(Comment.id == id, Post.visible_to(viewer)).with_for_update(of=Comment)
    found = (await session.execute(wanted)).one_or_none()
    if found is None:
        raise NotFound.for_entity("Comment")
    return found


async def adjust_comment_count(
    session: AsyncSession, post_id: UUID, by: int, *only_if: ColumnElement[bool]
) -> bool | None:
    """Keep the post's count of comments; says whether everyone sees the post, or None where there is no such one."""
    change = update_rows(Post).where(Post.id == post_id, *only_if).values(comment_count=Post.comment_count + by)
    return await session.scalar(change.returning(IS_PUBLIC))

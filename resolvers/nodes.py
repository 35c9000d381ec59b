"""Things by their id alone, whatever they are."""

from uuid import UUID

from sqlalchemy import Select, select

from models import Category, Comment, Order, Post, Tag, Upload, User, Viewer

NODE_TYPES = Post, Comment, User, Category, Tag, Order, Upload
"""What an id alone may be asked for by."""


def node(viewer: Viewer | None, id: UUID) -> list[Select]:
    """Anything with an id, by that id; at most one kind of thing has it."""
    return [select(entity).where(entity.id == id) for entity in NODE_TYPES]

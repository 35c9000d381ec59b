"""Look up entities by their id alone (Relay's `node`)."""

from uuid import UUID

from sqlalchemy import Select, select

from models import Category, Comment, Order, Post, Tag, Upload, User, Viewer

NODE_TYPES = Post, Comment, User, Category, Tag, Order, Upload
"""The entities that have an id of their own."""


def node(viewer: Viewer | None, id: UUID) -> list[Select]:
    """The object with an id, whatever its type."""
    return [select(entity).where(entity.id == id) for entity in NODE_TYPES]

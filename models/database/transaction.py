"""A former name of SQLAlchemy's session."""

from sqlalchemy.ext.asyncio import AsyncSession as Transaction

__all__ = ["Transaction"]

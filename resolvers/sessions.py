"""What is left of sessions once nobody can go on with them."""

from datetime import timedelta

from sqlalchemy import delete, select

from models import Database, RefreshToken, utcnow

AT_ONCE = 1_000
BEYOND = timedelta(days=1)
"""How long a token is kept that has expired: clocks differ, and another server's may not be there yet."""


async def forget(db: Database) -> int:
    """Forget refresh tokens that have expired; says how many.

    Until then a used one is kept, for it is known as stolen by that alone. With the last of a session's tokens its
    access tokens are long over.
    """
    gone = more = await forget_some(db)
    while more == AT_ONCE:
        gone += (more := await forget_some(db))
    return gone


async def forget_some(db: Database) -> int:
    """What somebody holds just now is left for the next time: another server forgets it, or its session is ending."""
    expired = select(RefreshToken.id).where(RefreshToken.expires_at < utcnow() - BEYOND)
    page = expired.order_by(RefreshToken.expires_at).limit(AT_ONCE).with_for_update(skip_locked=True)
    async with db.writing() as session:
        ids = (await session.scalars(page)).all()
        if ids:
            await session.execute(delete(RefreshToken).where(RefreshToken.id.in_(ids)))
    return len(ids)

"""Rights are live: what a stream was allowed when it began is asked again for as long as it lasts."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from gateway.tasks.periodic import alongside
from models import Database, Role, Viewer
from models.errors import Refusal, Unauthorized, Unavailable
from resolvers import accounts

PERIOD = 2.0
"""Seconds from one asking to the next; what ends a session or changes a role is heeded within 5."""
PATIENCE = 2.0
AT_ONCE = 1_000
"""Sessions asked about in one statement."""

logger = logging.getLogger("gateway.live")


class Guarded:
    """Who follows a stream, as of a moment ago."""

    __slots__ = ("ended", "expires_at", "session_id", "viewer", "watch")

    def __init__(self, watch: "Watch", session_id: UUID | None, viewer: Viewer | None, expires_at: float | None):
        self.watch, self.session_id, self.viewer, self.expires_at = watch, session_id, viewer, expires_at
        self.ended: asyncio.Future[Refusal] = asyncio.get_running_loop().create_future()
        """Done, with what to say, when the viewer may follow no longer. Nobody in particular may always."""

    def renew(self, expires_at: float | None, session_id: UUID | None = None, viewer: Viewer | None = None) -> None:
        """Go on with a newer token, which may belong to another of the viewer's sessions."""
        self.close()
        self.expires_at = expires_at
        self.session_id, self.viewer = session_id or self.session_id, viewer or self.viewer
        self.watch.add(self)

    def end(self, refusal: Refusal) -> None:
        if not self.ended.done():
            self.ended.set_result(refusal)

    def close(self) -> None:
        """Watch it no longer."""
        self.watch.remove(self)


class Watch:
    """Asks again, once for all streams of this process, whether their sessions live and which role they have."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.sessions: dict[UUID, set[Guarded]] = {}

    def guard(
        self, session_id: UUID | None = None, viewer: Viewer | None = None, expires_at: float | None = None
    ) -> Guarded:
        """Watch over a stream until it is closed. `expires_at`, in Unix seconds, is its access token's."""
        guarded = Guarded(self, session_id, viewer, expires_at)
        self.add(guarded)
        return guarded

    def add(self, guarded: Guarded) -> None:
        if guarded.session_id is not None:
            self.sessions.setdefault(guarded.session_id, set()).add(guarded)

    def remove(self, guarded: Guarded) -> None:
        streams = self.sessions.get(guarded.session_id, set())
        streams.discard(guarded)
        if not streams:
            self.sessions.pop(guarded.session_id, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Watch"]:
        """Watch until the scope is left."""
        async with alongside(self.go_round(), "watch over streams"):
            yield self

    async def go_round(self) -> None:
        while True:
            await asyncio.sleep(PERIOD)
            self.expire(time.time())
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.ask()
            except (Unavailable, TimeoutError):
                logger.warning("Whether sessions still live cannot be asked; their streams go on until tokens expire")
            except Exception:
                logger.exception("Asking whether sessions still live failed; trying again")

    def expire(self, now: float) -> None:
        """End the streams whose tokens have run out."""
        for streams in self.sessions.values():
            for guarded in streams:
                if guarded.expires_at is not None and guarded.expires_at <= now:
                    guarded.end(Unauthorized("The access token has expired"))

    async def ask(self) -> None:
        """End the streams of sessions that are over, and give the others the role of this moment."""
        watched = list(self.sessions)
        for start in range(0, len(watched), AT_ONCE):
            sessions = watched[start : start + AT_ONCE]
            async with self.db.reading() as session:
                found = await session.execute(accounts.living_among(sessions))
                roles = {row.family_id: row.role for row in found}
            for id in sessions:
                self.heed(id, roles.get(id))

    def heed(self, session_id: UUID, role: Role | None) -> None:
        for guarded in self.sessions.get(session_id, ()):
            if role is None:
                guarded.end(Unauthorized("The session has ended; sign in again"))
            elif guarded.viewer is not None and guarded.viewer.role is not role:
                guarded.viewer = Viewer(guarded.viewer.id, role)

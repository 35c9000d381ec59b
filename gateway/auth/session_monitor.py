"""Session checks of open streams: a stream ends with its session, and follows its viewer's role."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from gateway.tasks.periodic import run_in_background
from models import Database, Role, Viewer
from models.errors import APIError, Unauthorized, Unavailable
from resolvers import accounts

CHECK_INTERVAL_SECONDS = 2.0
"""A logout, a revocation or a new role applies to open streams within 5 seconds."""
QUERY_TIMEOUT_SECONDS = 2.0
BATCH_SIZE = 1_000
"""Sessions checked by one statement."""

logger = logging.getLogger("gateway.auth")


class MonitoredSession:
    """The session of one open stream, as of the last check."""

    __slots__ = ("expires_at", "monitor", "revoked", "session_id", "viewer")

    def __init__(
        self, monitor: "SessionMonitor", session_id: UUID | None, viewer: Viewer | None, expires_at: float | None
    ) -> None:
        self.monitor, self.session_id, self.viewer, self.expires_at = monitor, session_id, viewer, expires_at
        self.revoked: asyncio.Future[APIError] = asyncio.get_running_loop().create_future()
        """Resolves to the error to send when the session ends. Never resolves for an anonymous stream."""

    def renew(self, expires_at: float | None, session_id: UUID | None = None, viewer: Viewer | None = None) -> None:
        """Continue with a newer token, which may belong to another session of the same viewer."""
        self.close()
        self.expires_at = expires_at
        self.session_id, self.viewer = session_id or self.session_id, viewer or self.viewer
        self.monitor.add(self)

    def revoke(self, error: APIError) -> None:
        if not self.revoked.done():
            self.revoked.set_result(error)

    def close(self) -> None:
        """Stop monitoring this session."""
        self.monitor.remove(self)


class SessionMonitor:
    """Checks the sessions of all open streams of this process, together and periodically."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.sessions: dict[UUID, set[MonitoredSession]] = {}

    def watch(
        self, session_id: UUID | None = None, viewer: Viewer | None = None, expires_at: float | None = None
    ) -> MonitoredSession:
        """Monitor a stream's session until it is closed. `expires_at` (Unix seconds) is that of its access token."""
        monitored = MonitoredSession(self, session_id, viewer, expires_at)
        self.add(monitored)
        return monitored

    def add(self, monitored: MonitoredSession) -> None:
        if monitored.session_id is not None:
            self.sessions.setdefault(monitored.session_id, set()).add(monitored)

    def remove(self, monitored: MonitoredSession) -> None:
        streams = self.sessions.get(monitored.session_id, set())
        streams.discard(monitored)
        if not streams:
            self.sessions.pop(monitored.session_id, None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["SessionMonitor"]:
        """Check in the background while in the scope."""
        async with run_in_background(self._loop(), "check the sessions of open streams"):
            yield self

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_SECONDS)
            self.expire(time.time())
            try:
                async with asyncio.timeout(QUERY_TIMEOUT_SECONDS):
                    await self.refresh()
            except (Unavailable, TimeoutError):
                logger.warning("Could not check the sessions of open streams; they continue until their tokens expire")
            except Exception:
                logger.exception("Could not check the sessions of open streams; trying again")

    def expire(self, now: float) -> None:
        """Revoke the sessions whose access tokens have expired."""
        for streams in self.sessions.values():
            for monitored in streams:
                if monitored.expires_at is not None and monitored.expires_at <= now:
                    monitored.revoke(Unauthorized("The access token has expired"))

    async def refresh(self) -> None:
        """Revoke the sessions that have ended, and update the role of the others."""
        session_ids = list(self.sessions)
        for start in range(0, len(session_ids), BATCH_SIZE):
            batch = session_ids[start : start + BATCH_SIZE]
            async with self.db.reading() as session:
                active = await session.execute(accounts.active_sessions(batch))
                roles = {row.family_id: row.role for row in active}
            for id in batch:
                self._apply(id, roles.get(id))

    def _apply(self, session_id: UUID, role: Role | None) -> None:
        for monitored in self.sessions.get(session_id, ()):
            if role is None:
                monitored.revoke(Unauthorized("The session has ended; sign in again"))
            elif monitored.viewer is not None and monitored.viewer.role is not role:
                monitored.viewer = Viewer(monitored.viewer.id, role)

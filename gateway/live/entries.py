"""One event as followers meet it: what it says, and who may hear it."""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from models import Event, Post, Role, Viewer
from resolvers.events import Fact

NOBODY = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may hear of something that belongs to an author."""

    author: UUID | None = None
    everyone: bool = False
    its_author: bool = False
    admins: bool = False

    def includes(self, viewer: Viewer | None) -> bool:
        if self.everyone or viewer is None:
            return self.everyone
        return (self.its_author and viewer.id == self.author) or (self.admins and viewer.is_admin)


@dataclass(frozen=True)
class Entry:
    """A settled event, with its audience as it was when the log was read."""

    id: int
    type: str
    entity_id: UUID
    post_id: UUID | None
    actor_id: UUID | None
    at: datetime
    audience: Audience

    @cached_property
    def frame(self) -> bytes:
        """The event as the feed says it, encoded once for all who hear it."""
        return b"id: %d\ndata: %s\n\n" % (self.id, orjson.dumps(self.facts()))

    def facts(self) -> dict[str, Any]:
        said = {"id": self.id, "type": self.type, "postId": self.post_id, "actorId": self.actor_id, "at": wire(self.at)}
        if self.type.startswith("comment."):
            said["commentId"] = self.entity_id
        return said


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def with_audiences(session: AsyncSession, events: list[Event]) -> list[Entry]:
    """Events with who may hear them now, by the posts' own rule, asked once for all of them."""
    seen = await audiences(session, {event.post_id for event in events if event.post_id is not None})
    return [entry(event, seen.get(event.post_id, Audience())) for event in events]


async def audiences(session: AsyncSession, posts: set[UUID]) -> dict[UUID, Audience]:
    """Who may see each of some posts."""
    if not posts:
        return {}
    wanted = select(
        Post.id,
        Post.author_id,
        Post.visible_to(None),
        Post.visible_to(Viewer(Post.author_id)),
        Post.visible_to(Viewer(NOBODY, Role.ADMIN)),
    ).where(Post.id.in_(posts))
    rows = await session.execute(wanted)
    return {id: Audience(author, *map(bool, may_see)) for id, author, *may_see in rows}


def entry(event: Event, audience: Audience) -> Entry:
    """Those who could see a post until now are told that it went from sight, and nothing else of it."""
    audience = replace(
        audience,
        everyone=audience.everyone or event.hides,
        its_author=audience.its_author or event.type == Fact.POST_DELETED,
    )
    return Entry(event.id, event.type, event.entity_id, event.post_id, event.actor_id, event.at, audience)

"""One event as followers meet it: what it says, and who may hear it."""

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias
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


@dataclass(slots=True, weakref_slot=True)
class Sight:
    """Who may see a post, as of the newest reading; all entries about it share this, the old ones too."""

    audience: Audience


@dataclass(frozen=True)
class Entry:
    """A settled event, and who may hear of it."""

    id: int
    type: str
    entity_id: UUID
    post_id: UUID | None
    actor_id: UUID | None
    at: datetime
    hides: bool
    was_public: bool
    sight: Sight

    @property
    def audience(self) -> Audience:
        """Those who may see the post now and could then; what went from sight is told to who saw it go."""
        now = self.sight.audience
        everyone = self.hides or (now.everyone and self.was_public)
        return replace(now, everyone=everyone, its_author=now.its_author or self.is_deletion)

    @property
    def is_deletion(self) -> bool:
        return self.type == Fact.POST_DELETED

    @cached_property
    def frame(self) -> bytes:
        """The event as the feed says it, encoded once for all who hear it. (asyncpg has a UUID of its own.)"""
        return b"id: %d\ndata: %s\n\n" % (self.id, orjson.dumps(self.facts(), default=str))

    def facts(self) -> dict[str, Any]:
        said = {"id": self.id, "type": self.type, "postId": self.post_id, "actorId": self.actor_id, "at": wire(self.at)}
        if self.type.startswith("comment."):
            said["commentId"] = self.entity_id
        return said


Sights: TypeAlias = MutableMapping[UUID, Sight]


def wire(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


async def with_sights(session: AsyncSession, events: list[Event], known: Sights) -> list[Entry]:
    """Events with who may see their posts now, by the posts' own rule, asked once for all of them.

    What is known of other entries about these posts is brought up to date.
    """
    posts = {event.post_id for event in events if event.post_id is not None}
    seen = await audiences(session, posts)
    sights = {post: renewed(known, post, seen.get(post, Audience())) for post in posts}
    return [entry(event, sights.get(event.post_id) or Sight(Audience())) for event in events]


def renewed(known: Sights, post: UUID, audience: Audience) -> Sight:
    sight = known.setdefault(post, Sight(audience))
    sight.audience = audience
    return sight


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


def entry(event: Event, sight: Sight) -> Entry:
    about = event.entity_id, event.post_id, event.actor_id, event.at
    return Entry(event.id, event.type, *about, event.hides, event.was_public, sight)

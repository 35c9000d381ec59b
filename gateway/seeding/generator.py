"""The rows to write, table by table, in the order that references need. All of it follows from one seed."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel

from gateway.seeding.text import GENERAL_TAGS, Theme, Writer, tag_names, themes
from models import Category, Comment, Like, Post, PostTag, Tag, User
from models.search_text import casefold_text
from resolvers import passwords
from resolvers.slugs import slugify

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SPAN = timedelta(days=730)
"""How far back the oldest posts go."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SeedSizes:
    """How many rows to add."""

    users: int = 1_000
    posts: int = 20_000
    comments: int = 100_000
    likes: int = 200_000
    tags_per_post: int = 3
    tags: int = 60
    categories: int = 8

    def __post_init__(self) -> None:
        """Refuses, with a ValueError, what cannot be: a comment needs a post, and a user likes a post once."""
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative")
        if self.posts and not self.users:
            raise ValueError("posts need users to write them")
        if self.comments and not self.posts:
            raise ValueError("comments need posts")
        most = self.users * public(self.posts)
        if self.likes > most:
            raise ValueError(
                f"{self.likes} likes are too many: each user likes a published post once, so at most {most}"
            )
        if self.posts and self.tags_per_post > self.tags:
            raise ValueError("tags_per_post cannot be more than tags")


@dataclass(slots=True)
class ExistingData:
    """What the database has already: names that are taken, labels that are used again."""

    emails: set[str] = field(default_factory=set)
    slugs: set[str] = field(default_factory=set)
    categories: dict[str, UUID] = field(default_factory=dict)
    tags: dict[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows of one table, made while they are written."""

    entity: type[SQLModel]
    columns: tuple[str, ...]
    total: int
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody whom others know by name, among the made-up users."""

    name: str
    email: str
    role: str
    password: str
    """In clear: these accounts are for everybody who reads where they are printed."""


STATUSES = {7: "DRAFT", 13: "ARCHIVED"}
"""Of every twenty posts, these places; the others are published."""


def status_of(number: int) -> str:
    return STATUSES.get(number % 20, "PUBLISHED")


def public(posts: int) -> int:
    """How many of this many posts are published."""
    return sum(status_of(number) == "PUBLISHED" for number in range(posts))


class Generator:
    """Everything to write. Ids are of version 7 and follow the time that the row says it was made."""

    def __init__(
        self,
        amounts: SeedSizes,
        there: ExistingData,
        *,
        chance: Random,
        now: datetime,
        accounts: Sequence[Account] = (),
    ) -> None:
        self.amounts, self.there, self.chance, self.now = amounts, there, chance, now
        self.accounts = accounts
        self.writer, self.repeats = Writer(chance), Counter[str]()
        self.themes = themes(amounts.categories) or themes(1)
        self.categories = self.labels(there.categories, [theme.name for theme in themes(amounts.categories)])
        self.tags = self.labels(there.tags, tag_names(amounts.tags))
        self.users = self.spread_timestamps(amounts.users, now - 2 * SPAN, now - SPAN)
        self.posts = self.spread_timestamps(amounts.posts, now - SPAN, now - timedelta(hours=2))
        self.user_ids = [self.uuid7_at(moment) for moment in self.users]
        self.post_ids = [self.uuid7_at(moment) for moment in self.posts]
        published = [number for number in range(amounts.posts) if status_of(number) == "PUBLISHED"]
        self.comments_of = self.distribute(amounts.comments, published, at_most=amounts.comments)
        self.likes_of = self.distribute(amounts.likes, published, at_most=amounts.users)

    def __iter__(self) -> Iterator[TableRows]:
        amounts, tags_each = self.amounts, self.amounts.tags_per_post
        yield self.label_sheet(Category, self.there.categories, self.categories)
        yield self.label_sheet(Tag, self.there.tags, self.tags)
        yield TableRows(User, USER, amounts.users, self.user_rows())
        yield TableRows(Post, POST, amounts.posts, self.post_rows())
        yield TableRows(PostTag, ("post_id", "tag_id"), amounts.posts * tags_each, self.post_tag_rows())
        yield TableRows(Comment, COMMENT, amounts.comments, self.comment_rows())
        yield TableRows(Like, ("post_id", "user_id", "created_at"), amounts.likes, self.like_rows())

    def labels(self, there: dict[str, UUID], names: list[str]) -> dict[str, UUID]:
        """The ids of labels by name: those that are there, and new ones."""
        return {name: there.get(slugify(name)) or self.uuid7_at(self.now - 2 * SPAN) for name in names}

    def label_sheet(self, entity: type[SQLModel], there: dict[str, UUID], labels: dict[str, UUID]) -> TableRows:
        new = [(id, name, slugify(name)) for name, id in labels.items() if slugify(name) not in there]
        return TableRows(entity, ("id", "name", "slug"), len(new), iter(new))

    def user_rows(self) -> Iterator[Row]:
        for number, (id, moment) in enumerate(zip(self.user_ids, self.users, strict=True)):
            if number < len(self.accounts):
                account = self.accounts[number]
                password_hash = passwords.HASHER.hash(account.password)
                yield id, account.name, account.email, account.role, password_hash, moment
            else:
                name = self.writer.person()
                yield id, name, self.unique(slugify(name), self.there.emails, "@example.com"), "USER", None, moment

    def post_rows(self) -> Iterator[Row]:
        categories = list(self.categories.values())
        for number, (id, created) in enumerate(zip(self.post_ids, self.posts, strict=True)):
            theme = self.theme_of(number)
            title, status = self.writer.title(theme), status_of(number)
            content = "\n\n".join(self.writer.paragraph(theme) for _ in range(self.chance.randint(2, 4)))
            excerpt = content.partition(".")[0] + "."
            published = None if status == "DRAFT" else self.published_at(number)
            edits = self.chance.choice((0, 0, 0, 1, 2))
            updated = (published or created) + edits * timedelta(minutes=self.chance.randint(1, 25))
            author = self.user_ids[self.author_of(number)]
            category = categories[number % len(categories)] if categories else None
            yield (
                *(
                    id,
                    title,
                    self.unique(slugify(title), self.there.slugs),
                    content,
                    excerpt,
                    status,
                    author,
                    category,
                    published,
                ),
                *(created, updated, 1 + edits, self.comments_of[number], self.likes_of[number]),
                *(casefold_text(title), casefold_text(content)),
            )

    def post_tag_rows(self) -> Iterator[Row]:
        """Tags of the post's theme and general ones; others only where those are too few."""
        every = list(self.tags.values())
        for number, id in enumerate(self.post_ids):
            fitting = [self.tags[name] for name in (*self.theme_of(number).tags, *GENERAL_TAGS) if name in self.tags]
            enough = fitting if len(fitting) >= self.amounts.tags_per_post else every
            for tag_id in self.chance.sample(enough, self.amounts.tags_per_post):
                yield id, tag_id

    def comment_rows(self) -> Iterator[Row]:
        for number, count in enumerate(self.comments_of):
            theme = self.theme_of(number)
            for moment in self.spread_timestamps(count, self.published_at(number), self.now):
                yield (
                    self.uuid7_at(moment),
                    self.writer.comment(theme),
                    moment,
                    self.post_ids[number],
                    self.random_user_id(),
                )

    def like_rows(self) -> Iterator[Row]:
        for number, count in enumerate(self.likes_of):
            moments = self.spread_timestamps(count, self.published_at(number), self.now)
            for user_id, moment in zip(self.chance.sample(self.user_ids, count), moments, strict=True):
                yield self.post_ids[number], user_id, moment

    def theme_of(self, number: int) -> Theme:
        return self.themes[number % len(self.themes)]

    def author_of(self, number: int) -> int:
        """Which user wrote a post: each in turn, in an order that does not follow the categories."""
        return number * 7919 % len(self.user_ids)

    def published_at(self, number: int) -> datetime:
        return self.posts[number] + timedelta(minutes=number % 30)

    def random_user_id(self) -> UUID:
        return self.chance.choice(self.user_ids)

    def spread_timestamps(self, count: int, start: datetime, end: datetime) -> list[datetime]:
        """Moments spread over a time by chance, in order."""
        step = (end - start) / max(count, 1)
        return [start + (number + self.chance.random()) * step for number in range(count)]

    def uuid7_at(self, moment: datetime) -> UUID:
        """A UUID of version 7 made at that moment, which orders by the microsecond (RFC 9562, method 3)."""
        milliseconds, microseconds = divmod((moment - EPOCH) // MICROSECOND, 1000)
        fraction = (microseconds << 12) // 1000
        value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | self.chance.getrandbits(62)
        return UUID(int=value)

    def unique(self, wanted: str, taken: set[str], ending: str = "") -> str:
        """The name itself, or the same with the next number that makes it unique; it is taken then."""
        name = wanted + ending
        while name in taken:
            self.repeats[wanted] += 1
            name = f"{wanted}-{self.repeats[wanted] + 1}{ending}"
        taken.add(name)
        return name

    def distribute(self, total: int, among: Sequence[int], at_most: int) -> list[int]:
        """How much of a total each post gets, by its number: a few get much, none more than it may."""
        shares = [0] * self.amounts.posts
        if not among or not total:
            return shares
        weights = [self.chance.paretovariate(1.2) for _ in among]
        for number, count in Counter(self.chance.choices(among, weights, k=total)).items():
            shares[number] = min(count, at_most)
        short = total - sum(shares)
        for number in among:
            more = min(short, at_most - shares[number])
            shares[number] += more
            short -= more
        return shares


USER = ("id", "name", "email", "role", "password_hash", "created_at")
COMMENT = ("id", "content", "created_at", "post_id", "author_id")
POST = (
    *("id", "title", "slug", "content", "excerpt", "status", "author_id", "category_id", "published_at"),
    *("created_at", "updated_at", "version", "comment_count", "like_count", "folded_title", "folded_content"),
)

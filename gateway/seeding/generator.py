"""Generate the rows of each table, in the order that foreign keys need, from one random generator."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sqlmodel import SQLModel

from gateway.seeding.text import GENERAL_TAGS, TextGenerator, Theme, get_tag_names, get_themes
from models import Category, Comment, Like, Post, PostTag, Tag, User
from models.search_text import casefold_text
from resolvers import passwords
from resolvers.slugs import slugify

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
POSTS_PERIOD = timedelta(days=730)
"""Age of the oldest post. Users signed up in the same period before that."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class SeedSizes:
    """Number of rows to add to each table."""

    users: int = 1_000
    posts: int = 20_000
    comments: int = 100_000
    likes: int = 200_000
    tags_per_post: int = 3
    tags: int = 60
    categories: int = 8

    def __post_init__(self) -> None:
        """Raise `ValueError` for impossible sizes: a comment needs a post, and a user likes each post at most once."""
        for name in self.__slots__:
            if getattr(self, name) < 0:
                raise ValueError(f"{name} cannot be negative")
        if self.posts and not self.users:
            raise ValueError("posts need users to write them")
        if self.comments and not self.posts:
            raise ValueError("comments need posts")
        max_likes = self.users * len(published_numbers(self.posts))
        if self.likes > max_likes:
            raise ValueError(f"likes must be at most {max_likes}: each user can like each published post once")
        if self.posts and self.tags_per_post > self.tags:
            raise ValueError("tags_per_post cannot be more than tags")


@dataclass(slots=True)
class ExistingData:
    """Unique values that the database already contains, and the ids of its categories and tags by slug."""

    emails: set[str] = field(default_factory=set)
    slugs: set[str] = field(default_factory=set)
    categories: dict[str, UUID] = field(default_factory=dict)
    tags: dict[str, UUID] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TableRows:
    """Rows for one table, generated lazily."""

    entity: type[SQLModel]
    columns: tuple[str, ...]
    total: int
    rows: Iterator[Row]


@dataclass(frozen=True, slots=True)
class Account:
    """A demo account with a password."""

    name: str
    email: str
    role: str
    password: str
    """In clear text: the server prints it at startup."""


STATUSES = {7: "DRAFT", 13: "ARCHIVED"}
"""Statuses of every twenty posts, by number modulo 20; the others are published."""


def status_of(number: int) -> str:
    return STATUSES.get(number % 20, "PUBLISHED")


def published_numbers(posts: int) -> list[int]:
    """Return the numbers of the published posts among the first `posts`."""
    return [number for number in range(posts) if status_of(number) == "PUBLISHED"]


class Generator:
    """All rows to write. Iterate over it to get them by table. Ids are UUIDv7s that match `created_at`."""

    def __init__(
        self,
        sizes: SeedSizes,
        existing: ExistingData,
        *,
        random: Random,
        now: datetime,
        accounts: Sequence[Account] = (),
    ) -> None:
        """`accounts`: accounts to create as the first users."""
        self.sizes, self.existing, self.random, self.now = sizes, existing, random, now
        self.accounts = accounts
        self.text, self.repeats = TextGenerator(random), Counter[str]()
        self.themes = get_themes(sizes.categories or 1)
        self.categories = self.label_ids(existing.categories, [theme.name for theme in get_themes(sizes.categories)])
        self.tags = self.label_ids(existing.tags, get_tag_names(sizes.tags))
        self.users = self.spread_timestamps(sizes.users, now - 2 * POSTS_PERIOD, now - POSTS_PERIOD)
        self.posts = self.spread_timestamps(sizes.posts, now - POSTS_PERIOD, now - timedelta(hours=2))
        self.user_ids = [self.uuid7_at(timestamp) for timestamp in self.users]
        self.post_ids = [self.uuid7_at(timestamp) for timestamp in self.posts]
        published = published_numbers(sizes.posts)
        self.comment_counts = self.distribute(sizes.comments, published, maximum=sizes.comments)
        self.like_counts = self.distribute(sizes.likes, published, maximum=sizes.users)

    def __iter__(self) -> Iterator[TableRows]:
        sizes = self.sizes
        yield self.label_rows(Category, self.existing.categories, self.categories)
        yield self.label_rows(Tag, self.existing.tags, self.tags)
        yield TableRows(User, USER_COLUMNS, sizes.users, self.user_rows())
        yield TableRows(Post, POST_COLUMNS, sizes.posts, self.post_rows())
        yield TableRows(PostTag, ("post_id", "tag_id"), sizes.posts * sizes.tags_per_post, self.post_tag_rows())
        yield TableRows(Comment, COMMENT_COLUMNS, sizes.comments, self.comment_rows())
        yield TableRows(Like, ("post_id", "user_id", "created_at"), sizes.likes, self.like_rows())

    def label_ids(self, existing: dict[str, UUID], names: list[str]) -> dict[str, UUID]:
        """Return the ids of categories or tags by name: existing ones, else new ones."""
        return {name: existing.get(slugify(name)) or self.uuid7_at(self.now - 2 * POSTS_PERIOD) for name in names}

    def label_rows(self, entity: type[SQLModel], existing: dict[str, UUID], ids: dict[str, UUID]) -> TableRows:
        new = [(id, name, slugify(name)) for name, id in ids.items() if slugify(name) not in existing]
        return TableRows(entity, ("id", "name", "slug"), len(new), iter(new))

    def user_rows(self) -> Iterator[Row]:
        for number, (id, created) in enumerate(zip(self.user_ids, self.users, strict=True)):
            if number < len(self.accounts):
                account = self.accounts[number]
                password_hash = passwords.HASHER.hash(account.password)
                yield id, account.name, account.email, account.role, password_hash, created
            else:
                name = self.text.person()
                email = self.unique(slugify(name), self.existing.emails, "@example.com")
                yield id, name, email, "USER", None, created

    def post_rows(self) -> Iterator[Row]:
        categories = list(self.categories.values())
        for number, (id, created) in enumerate(zip(self.post_ids, self.posts, strict=True)):
            theme = self.theme_of(number)
            title, status = self.text.title(theme), status_of(number)
            content = "\n\n".join(self.text.paragraph(theme) for _ in range(self.random.randint(2, 4)))
            published = None if status == "DRAFT" else self.published_at(number)
            edits = self.random.choice((0, 0, 0, 1, 2))
            updated = (published or created) + edits * timedelta(minutes=self.random.randint(1, 25))
            # Each user is the author in turn; multiplied by a prime, so that no author has only one category.
            author_id = self.user_ids[number * 7919 % len(self.user_ids)]
            category_id = categories[number % len(categories)] if categories else None
            slug, excerpt = self.unique(slugify(title), self.existing.slugs), content.partition(".")[0] + "."
            yield (
                *(id, title, slug, content, excerpt, status, author_id, category_id, published),
                *(created, updated, 1 + edits, self.comment_counts[number], self.like_counts[number]),
                *(casefold_text(title), casefold_text(content)),
            )

    def post_tag_rows(self) -> Iterator[Row]:
        """Use tags of the post's theme and general ones; all tags only if those are too few."""
        count, all_tags = self.sizes.tags_per_post, list(self.tags.values())
        for number, id in enumerate(self.post_ids):
            matching = [self.tags[name] for name in (*self.theme_of(number).tags, *GENERAL_TAGS) if name in self.tags]
            for tag_id in self.random.sample(matching if len(matching) >= count else all_tags, count):
                yield id, tag_id

    def comment_rows(self) -> Iterator[Row]:
        for number, count in enumerate(self.comment_counts):
            theme, post_id = self.theme_of(number), self.post_ids[number]
            for created in self.spread_timestamps(count, self.published_at(number), self.now):
                author_id = self.random.choice(self.user_ids)
                yield self.uuid7_at(created), self.text.comment(theme), created, post_id, author_id

    def like_rows(self) -> Iterator[Row]:
        for number, count in enumerate(self.like_counts):
            timestamps = self.spread_timestamps(count, self.published_at(number), self.now)
            for user_id, created in zip(self.random.sample(self.user_ids, count), timestamps, strict=True):
                yield self.post_ids[number], user_id, created

    def theme_of(self, number: int) -> Theme:
        return self.themes[number % len(self.themes)]

    def published_at(self, number: int) -> datetime:
        return self.posts[number] + timedelta(minutes=number % 30)

    def spread_timestamps(self, count: int, start: datetime, end: datetime) -> list[datetime]:
        """Return `count` random timestamps between `start` and `end`, in order."""
        step = (end - start) / max(count, 1)
        return [start + (number + self.random.random()) * step for number in range(count)]

    def uuid7_at(self, timestamp: datetime) -> UUID:
        """Return a UUIDv7 for a timestamp, which sorts by microsecond (RFC 9562, section 6.2, method 3)."""
        milliseconds, microseconds = divmod((timestamp - EPOCH) // MICROSECOND, 1000)
        fraction = (microseconds << 12) // 1000
        value = milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | self.random.getrandbits(62)
        return UUID(int=value)

    def unique(self, name: str, existing: set[str], suffix: str = "") -> str:
        """Return the name with the suffix, with a number in between if that exists, and add it to `existing`."""
        candidate = name + suffix
        while candidate in existing:
            self.repeats[name] += 1
            candidate = f"{name}-{self.repeats[name] + 1}{suffix}"
        existing.add(candidate)
        return candidate

    def distribute(self, total: int, numbers: Sequence[int], maximum: int) -> list[int]:
        """Distribute comments or likes over the posts with these numbers: a few get many, none more than `maximum`.

        Returns the counts of all posts, by number.
        """
        counts = [0] * self.sizes.posts
        if not numbers or not total:
            return counts
        weights = [self.random.paretovariate(1.2) for _ in numbers]
        for number, count in Counter(self.random.choices(numbers, weights, k=total)).items():
            counts[number] = min(count, maximum)
        missing = total - sum(counts)
        for number in numbers:
            added = min(missing, maximum - counts[number])
            counts[number] += added
            missing -= added
        return counts


USER_COLUMNS = ("id", "name", "email", "role", "password_hash", "created_at")
COMMENT_COLUMNS = ("id", "content", "created_at", "post_id", "author_id")
POST_COLUMNS = (
    *("id", "title", "slug", "content", "excerpt", "status", "author_id", "category_id", "published_at"),
    *("created_at", "updated_at", "version", "comment_count", "like_count", "folded_title", "folded_content"),
)

"""A small world, with every case in it: statuses, deletions, missing values, likes, ties in every order, odd text."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from models import (
    Category,
    Comment,
    Database,
    Like,
    Order,
    OrderStatus,
    Post,
    PostStatus,
    PostTag,
    PostUpload,
    Role,
    Tag,
    Upload,
    User,
    Viewer,
    WebhookEvent,
    WebhookStatus,
)
from models.search_text import casefold_text

chance = Random(7)
START = datetime(2026, 1, 1, tzinfo=UTC)
TITLES = ["A 100% post", 'Quote " and \\ back', "snake_case", "日本語", "Straße", "STRASSE", "Zoë"]


def new_id() -> UUID:
    return UUID(int=chance.getrandbits(128))


def moment() -> datetime:
    return START + timedelta(seconds=chance.randrange(40), microseconds=chance.choice([0, 0, 120_000, 123_456]))


def a_user(n: int) -> User:
    role = Role.ADMIN if n == 0 else Role.USER
    image = chance.choice([None, "i.png"])
    return User(id=new_id(), name=f"User {n} é", email=f"u{n}@x.org", image=image, created_at=moment(), role=role)


def a_post(n: int) -> Post:
    title, content = chance.choice(TITLES), f"Content {n}\nwith a line"
    return Post(
        id=new_id(),
        title=title,
        slug=f"p{n}",
        content=content,
        folded_title=casefold_text(title),
        folded_content=casefold_text(content),
        excerpt=chance.choice([None, "", "Short"]),
        status=chance.choice([*PostStatus, PostStatus.PUBLISHED]),
        author_id=chance.choice(USERS).id,
        category_id=chance.choice([None, *[category.id for category in CATEGORIES]]),
        published_at=chance.choice([None, moment()]),
        deleted_at=chance.choice([None, None, None, moment()]),
        created_at=moment(),
        updated_at=moment(),
        version=chance.randrange(1, 4),
        comment_count=n,
        like_count=chance.randrange(3),
    )


def a_comment(n: int) -> Comment:
    post, author = chance.choice(POSTS), chance.choice(USERS)
    return Comment(id=new_id(), content=f"Comment {n}", created_at=moment(), post_id=post.id, author_id=author.id)


def an_order(n: int) -> Order:
    status = chance.choice([*OrderStatus])
    paid = {"amount_total": 100 * n, "currency": "eur", "paid_at": moment()} if status is OrderStatus.PAID else {}
    made = {"id": new_id(), "user_id": chance.choice(USERS).id, "created_at": moment()}
    return Order(**made, price_id=f"price_{n}", quantity=n, status=status, **paid)


def a_webhook_event(n: int) -> WebhookEvent:
    status = chance.choice([*WebhookStatus])
    error = "No such order" if status is WebhookStatus.FAILED else None
    made = {"id": f"evt_{n}", "created_at": moment(), "processed_at": chance.choice([None, moment()])}
    return WebhookEvent(**made, type="invoice.paid", status=status, error=error, attempts=n, payload={"id": f"evt_{n}"})


def an_upload(n: int) -> Upload:
    return Upload(
        id=new_id(),
        name=f"{new_id()}.png",
        filename=chance.choice(['Quote " and \\.png', "日本語.png", "a.png"]),
        content_type="image/png",
        size=n,
        sha256=f"{n:064x}",
        created_at=moment(),
        owner_id=chance.choice(USERS).id,
    )


USERS = [a_user(n) for n in range(4)]
CATEGORIES = [Category(id=new_id(), name=f"Category {n}", slug=f"c{n}") for n in range(2)]
TAGS = [Tag(id=new_id(), name=f"Tag {n}", slug=f"t{n}") for n in range(4)]
POSTS = [a_post(n) for n in range(30)]
COMMENTS = [a_comment(n) for n in range(60)]
LIKES = {(chance.choice(POSTS).id, chance.choice(USERS).id) for _ in range(30)}
TAGGED = {(chance.choice(POSTS).id, chance.choice(TAGS).id) for _ in range(50)}
ORDERS = [an_order(n) for n in range(8)]
WEBHOOK_EVENTS = [a_webhook_event(n) for n in range(8)]
UPLOADS = [an_upload(n) for n in range(20)]
ATTACHED = {(chance.choice(POSTS).id, chance.choice(UPLOADS).id): chance.randrange(3) for _ in range(25)}
"""Where each upload stands in its post."""

ROWS: dict[type, list[Any]] = {
    User: USERS,
    Category: CATEGORIES,
    Tag: TAGS,
    Post: POSTS,
    Comment: COMMENTS,
    Order: ORDERS,
    WebhookEvent: WEBHOOK_EVENTS,
    Upload: UPLOADS,
}
ADMIN = Viewer(USERS[0].id, Role.ADMIN)
SOMEBODY = Viewer(USERS[1].id)
VIEWERS = [None, SOMEBODY, ADMIN]


async def fill(db: Database) -> None:
    likes = [Like(post_id=post, user_id=user, created_at=START) for post, user in LIKES]
    links = [PostTag(post_id=post, tag_id=tag) for post, tag in TAGGED]
    attached = [PostUpload(post_id=post, upload_id=upload, position=at) for (post, upload), at in ATTACHED.items()]
    async with db.writing() as session:
        for rows in (*ROWS.values(), likes, links, attached):
            session.add_all([type(row)(**row.model_dump()) for row in rows])
            await session.flush()

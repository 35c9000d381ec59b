"""The same schema answered the slow and obvious way: graphql-core, walking Python lists, one rule per `if`."""

from typing import Any

from graphql import GraphQLError, GraphQLSchema, build_schema, execute, parse

from models import Category, Comment, Order, Post, PostStatus, Tag, Upload, User, Viewer, WebhookEvent
from models.search_text import casefold_text
from tests.gateway.graphql.world import ATTACHED, LIKES, ROWS, TAGGED

PUBLISHED = {"status": "PUBLISHED"}


def get(entity: type, id: Any) -> Any:
    return next((row for row in ROWS[entity] if str(row.id) == str(id)), None)


class Oracle:
    """Answers as a viewer."""

    def __init__(self, sdl: str, viewer: Viewer | None) -> None:
        self.schema: GraphQLSchema = build_schema(sdl)
        self.asking = viewer

    def answer(self, source: str) -> dict[str, Any]:
        result = execute(
            self.schema,
            parse(source),
            {},
            field_resolver=self.resolve,
            type_resolver=lambda row, *_: type(row).__name__,
        )
        return result.formatted

    def sees(self, row: Any) -> bool:
        if isinstance(row, Comment):
            return self.sees(get(Post, row.post_id))
        if isinstance(row, Order):
            return self.asking is not None and (self.asking.is_admin or row.user_id == self.asking.id)
        if isinstance(row, Upload):
            owned = self.asking is not None and (self.asking.is_admin or row.owner_id == self.asking.id)
            return owned or any(self.sees(get(Post, post)) for post, upload in ATTACHED if upload == row.id)
        if not isinstance(row, Post) or (self.asking and self.asking.is_admin):
            return True
        mine = self.asking is not None and row.author_id == self.asking.id
        return row.deleted_at is None and (row.status is PostStatus.PUBLISHED or mine)

    def resolve(self, source: Any, info: Any, **arguments: Any) -> Any:
        if isinstance(source, dict) and info.field_name in source:
            return source[info.field_name]
        name = info.field_name if isinstance(source, dict) else f"{type(source).__name__}_{info.field_name}"
        if special := getattr(self, name, None):
            return special(*(() if isinstance(source, dict) else (source,)), **arguments)
        return wire(getattr(source, snake(info.field_name)))

    def listed(self, filter: dict | None = None, orderBy: str | None = "NEWEST") -> list[Post]:
        wanted = {name: value for name, value in (filter or PUBLISHED).items() if value is not None}
        rows = [row for row in ROWS[Post] if self.sees(row) and self.matches(row, **wanted)]
        key = {"TITLE": "folded_title", "MOST_LIKED": "like_count"}.get(orderBy or "NEWEST", "created_at")
        rows.sort(key=lambda row: (getattr(row, key), str(row.id)), reverse=orderBy not in ("OLDEST", "TITLE"))
        return rows

    def matches(
        self,
        row: Post,
        status: str | None = None,
        q: str | None = None,
        authorId: str | None = None,
        categoryId: str | None = None,
        tag: str | None = None,
        deleted: bool = False,
    ) -> bool:
        if deleted and not (self.asking and self.asking.is_admin):
            raise GraphQLError("Only an admin may list deleted posts")
        slugs = {get(Tag, tag_id).slug for post_id, tag_id in TAGGED if post_id == row.id}
        return (
            (row.deleted_at is not None) == deleted
            and (status is None or row.status.name == status)
            and (q is None or casefold_text(q) in row.folded_title or casefold_text(q) in row.folded_content)
            and (authorId is None or str(row.author_id) == authorId)
            and (categoryId is None or str(row.category_id) == categoryId)
            and (tag is None or tag in slugs)
        )

    def posts(self, first: Any = None, after: Any = None, last: Any = None, before: Any = None, **given: Any) -> Any:
        return connection(self.listed(**given), first, after, last, before)

    def postPage(self, page: int = 1, limit: int = 20, **given: Any) -> dict[str, Any]:
        rows, page, limit = self.listed(**given), page or 1, limit or 20
        data = rows[(page - 1) * limit : page * limit]
        return {"data": data, "page": page, "limit": limit, "total": len(rows), "pages": -(-len(rows) // limit)}

    def post(self, id: str | None = None, slug: str | None = None) -> Any:
        if id is None and slug is None:
            return None
        wanted = (lambda row: str(row.id) == id) if id is not None else (lambda row: row.slug == slug)
        return next((row for row in ROWS[Post] if wanted(row) and self.sees(row)), None)

    def node(self, id: str) -> Any:
        found = (get(entity, id) for entity in (Post, Comment, User, Category, Tag, Order, Upload))
        return next((row for row in found if row and self.sees(row)), None)

    def viewer(self) -> Any:
        return self.asking and get(User, self.asking.id)

    def user(self, id: str) -> Any:
        return get(User, id)

    def categories(self) -> list[Category]:
        return sorted(ROWS[Category], key=lambda row: (row.name, str(row.id)))

    def tags(self, first: int | None = 50) -> list[Tag]:
        return sorted(ROWS[Tag], key=lambda row: (row.name, str(row.id)))[: 50 if first is None else first]

    def orders(self, first: Any = 20, after: Any = None) -> Any:
        if self.asking is None:
            raise GraphQLError("Sign in first")
        own = [row for row in ROWS[Order] if row.user_id == self.asking.id]
        return connection(sorted(own, key=lambda row: (row.created_at, str(row.id)), reverse=True), first, after)

    def webhookEvents(self, status: str | None = None, first: Any = 20, after: Any = None) -> Any:
        if self.asking is None or not self.asking.is_admin:
            raise GraphQLError("Only an admin may access webhook events")
        rows = [row for row in ROWS[WebhookEvent] if status is None or row.status.name == status]
        return connection(sorted(rows, key=lambda row: (row.created_at, row.id), reverse=True), first, after)

    def uploads(self, first: Any = 20, after: Any = None) -> Any:
        if self.asking is None:
            raise GraphQLError("Sign in first")
        rows = [row for row in ROWS[Upload] if row.owner_id == self.asking.id]
        rows.sort(key=lambda row: (row.created_at, str(row.id)), reverse=True)
        return connection(rows, first, after)

    def User_email(self, user: User) -> str | None:
        return user.email if self.asking and (self.asking.is_admin or self.asking.id == user.id) else None

    def User_posts(self, user: User, first: Any = 20, after: Any = None, **given: Any) -> Any:
        return connection([row for row in self.listed(**given) if row.author_id == user.id], first, after)

    def Category_posts(self, category: Category, first: Any = 20, after: Any = None, **given: Any) -> Any:
        return connection([row for row in self.listed(**given) if row.category_id == category.id], first, after)

    def Tag_posts(self, tag: Tag, first: Any = 20, after: Any = None, **given: Any) -> Any:
        return connection([row for row in self.listed(**given) if (row.id, tag.id) in TAGGED], first, after)

    def Post_author(self, post: Post) -> User:
        return get(User, post.author_id)

    def Post_category(self, post: Post) -> Any:
        return get(Category, post.category_id)

    def Post_tags(self, post: Post) -> list[Tag]:
        return [tag for tag in self.tags() if (post.id, tag.id) in TAGGED]

    def Post_uploads(self, post: Post) -> list[Upload]:
        rows = [get(Upload, upload) for of, upload in ATTACHED if of == post.id]
        return sorted(rows, key=lambda row: (ATTACHED[post.id, row.id], str(row.id)))

    def Upload_url(self, upload: Upload) -> str:
        return f"/uploads/{upload.name}"

    def Post_comments(self, post: Post, first: Any = 20, after: Any = None) -> Any:
        rows = [row for row in ROWS[Comment] if row.post_id == post.id and self.sees(row)]
        return connection(sorted(rows, key=lambda row: (row.created_at, str(row.id))), first, after)

    def Post_viewerHasLiked(self, post: Post) -> bool:
        return self.asking is not None and (post.id, self.asking.id) in LIKES

    def Comment_author(self, comment: Comment) -> User:
        return get(User, comment.author_id)

    def Comment_post(self, comment: Comment) -> Post:
        return get(Post, comment.post_id)


def connection(rows: list[Any], first: Any = None, after: Any = None, last: Any = None, before: Any = None) -> Any:
    """A page from either end. Cursors are left out: they are checked by walking from page to page."""
    if first is not None and last is not None:
        raise GraphQLError("first with last")
    size = (last if last is not None else first) or 20
    shown = rows[-size:] if last is not None else rows[:size]
    more = len(rows) > len(shown)
    info = {"hasNextPage": more and last is None, "hasPreviousPage": more and last is not None}
    return {"nodes": shown, "edges": [{"node": row} for row in shown], "pageInfo": info, "totalCount": len(rows)}


def name_of(row: Any, *_: Any) -> str:
    return type(row).__name__


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def wire(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return getattr(value, "name", str(value) if hasattr(value, "hex") and not isinstance(value, float) else value)

"""The GraphQL queries behind REST's reads, compiled when the server starts."""

from dataclasses import dataclass, fields

from gateway.graphql.engine import Engine, Named

USER = "id name email image role createdAt"
ITEM = "id title slug excerpt status publishedAt author { id name image } commentCount likeCount"
POST = f"""
    {ITEM} content createdAt updatedAt version
    category {{ id name slug }} tags {{ id name slug }} viewerHasLiked
    uploads {{ id url filename contentType size sha256 createdAt }}
"""

SOURCES = {
    "viewer": f"{{ viewer {{ {USER} }} }}",
    "post": f"query ($id: ID!) {{ post(id: $id) {{ {POST} }} }}",
    "posts": f"""query ($page: Int, $limit: Int, $filter: PostFilter) {{
        items: postPage(page: $page, limit: $limit, filter: $filter) {{ data {{ {ITEM} }} }}
        pagination: postPage(page: $page, limit: $limit, filter: $filter) {{ page limit total pages }}
    }}""",
}


@dataclass(frozen=True, slots=True)
class RestQueries:
    """The compiled queries."""

    viewer: Named
    post: Named
    posts: Named


def compile_queries(engine: Engine) -> RestQueries:
    return RestQueries(**{field.name: engine.named(SOURCES[field.name]) for field in fields(RestQueries)})

"""The GraphQL schema: types declared over entities, and root fields over resolvers. Independent of HTTP."""

from strawberry import Schema
from strawberry.schema.config import StrawberryConfig

from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription
from schema.types import Comment


def build_schema(
    query: type, mutation: type | None = None, types: tuple[type, ...] = (), subscription: type | None = None
) -> Schema:
    """Build a schema whose ids are UUIDs and whose timestamps are in UTC."""
    return Schema(query, mutation, subscription, types=types, config=StrawberryConfig(scalar_map=SCALARS))


schema = build_schema(Query, Mutation, (Comment,), Subscription)

"""GraphQL's words for what the resolvers offer. Knows no HTTP, and reads nothing itself."""

from strawberry import Schema
from strawberry.schema.config import StrawberryConfig

from schema.mutation import Mutation
from schema.query import Query
from schema.scalars import SCALARS
from schema.subscription import Subscription
from schema.types import Comment


def schema_of(
    query: type, mutation: type | None = None, types: tuple[type, ...] = (), subscription: type | None = None
) -> Schema:
    """A schema whose ids are UUIDs and whose moments are in UTC."""
    return Schema(query, mutation, subscription, types=types, config=StrawberryConfig(scalar_map=SCALARS))


schema = schema_of(Query, Mutation, (Comment,), Subscription)

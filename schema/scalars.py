"""How ids and moments are written on the wire."""

from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import strawberry
from graphql import GraphQLError, GraphQLID, GraphQLScalarType
from strawberry.types.scalar import ScalarDefinition

from resolvers.inputs import ExternalId


def parse_id(value: Any) -> UUID:
    """An id that is no UUID names nothing, so it reads as the id that nothing has."""
    if isinstance(value, UUID):
        return value
    text = GraphQLID.coerce_input_value(value)
    try:
        return UUID(text)
    except ValueError:
        return ExternalId(text)


def parse_datetime(value: Any) -> datetime:
    """A moment with its offset from UTC; without one nobody knows which moment it is."""
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise GraphQLError("DateTime must be a moment as RFC 3339 writes it, such as 2026-01-31T12:00:00Z")


class UUIDScalar(GraphQLScalarType):
    """GraphQL's own `ID`, read as a UUID. (graphql-core reserves the name, hence `__new__`.)"""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        return object.__new__(cls)


ID = ScalarDefinition(
    "ID", None, None, str, parse_id, None,
    implementation=UUIDScalar("ID", serialize=str, parse_value=parse_id, description=GraphQLID.description),
)  # fmt: skip

DateTime = strawberry.scalar(
    name="DateTime",
    description="A moment in UTC, as RFC 3339 writes it: 2026-01-31T12:00:00.000000Z.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
    serialize=str,
    parse_value=parse_datetime,
)

SCALARS = {UUID: ID, datetime: DateTime}

"""The scalars `ID` (UUIDs) and `DateTime` (timestamps in UTC)."""

from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import strawberry
from graphql import GraphQLError, GraphQLID, GraphQLScalarType
from strawberry.types.scalar import ScalarDefinition

from resolvers.inputs import ExternalId


def parse_id(value: Any) -> UUID:
    """Parse a UUID. Other texts become an `ExternalId`, which no entity has."""
    if isinstance(value, UUID):
        return value
    text = GraphQLID.coerce_input_value(value)
    try:
        return UUID(text)
    except ValueError:
        return ExternalId(text)


def parse_datetime(value: Any) -> datetime:
    """Parse a timestamp with an offset from UTC. Raise `GraphQLError` for anything else."""
    try:
        timestamp = datetime.fromisoformat(value)
        if timestamp.tzinfo is not None:
            return timestamp.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        pass
    raise GraphQLError("DateTime must be an RFC 3339 timestamp with an offset, such as 2026-01-31T12:00:00Z")


class UUIDScalar(GraphQLScalarType):
    """GraphQL's `ID`, parsed as a UUID. `__new__` bypasses graphql-core's check for reserved names."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        return object.__new__(cls)


ID = ScalarDefinition(
    "ID", None, None, str, parse_id, None,
    implementation=UUIDScalar("ID", serialize=str, parse_value=parse_id, description=GraphQLID.description),
)  # fmt: skip

DateTime = strawberry.scalar(
    name="DateTime",
    description="A timestamp in UTC (RFC 3339), such as 2026-01-31T12:00:00.000000Z.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
    serialize=str,
    parse_value=parse_datetime,
)

SCALARS = {UUID: ID, datetime: DateTime}

"""What clients may write: the limits of every field, stated once for both protocols."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from uuid import UUID

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from models.errors import ValidationError

Model = TypeVar("Shape", bound=BaseModel)

LONGEST_ADDRESS = 254
"""Characters that an email address may have, as RFC 5321 limits it."""

LOCATION_PREFIXES = ("body", "query", "path", "header", "input")
"""Where a value came from, which is not part of its name."""

LONGEST_ID = len("urn:uuid:{}") + 36
NO_SUCH_ID = UUID(int=0)
"""The id that nothing has. A malformed id names nothing, so it reads as this one."""


class ExternalId(UUID):
    """The id that nothing has, as which text reads that is no UUID: what others call things by their ids of ours."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__(int=0)
        object.__setattr__(self, "text", text)


def raw_id(id: Any) -> str:
    """An id of others', as a client wrote it."""
    return id.text if isinstance(id, ExternalId) else str(id)


class Input(BaseModel):
    """Fields as clients spell them, in camelCase; unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


def reject_nul(text: str) -> str:
    """Postgres cannot keep U+0000, so neither database does."""
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    return text


def parse_id_or_nil(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return parse_uuid(value) if len(value) <= LONGEST_ID else NO_SUCH_ID


@lru_cache(4096)
def parse_uuid(text: str) -> UUID:
    """Kept for those seen last: a UUID is read in Python, letter by letter."""
    try:
        return UUID(text)
    except ValueError:
        return NO_SUCH_ID


Storable = AfterValidator(reject_nul)

Text = Annotated[str, Storable]
TrimmedText = Annotated[str, StringConstraints(strip_whitespace=True), Storable]
Reference = Annotated[UUID, BeforeValidator(parse_id_or_nil)]

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Storable]
Content = Annotated[str, StringConstraints(min_length=10, max_length=100_000), Storable]
Excerpt = Annotated[str, StringConstraints(max_length=300), Storable]
TagName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50), Storable]
CommentText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000), Storable]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), Storable]
EmailText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=LONGEST_ADDRESS), Storable]
NewPassword = Annotated[str, StringConstraints(min_length=8, max_length=128), Storable]


def to_validation_error(errors: Iterable[Mapping[str, Any]]) -> ValidationError:
    """pydantic's errors in our shape: the path of each wrong field, as clients spell it, and what is wrong with it."""
    details: dict[str, list[str]] = {}
    for error in errors:
        place = [str(part) for part in error["loc"]]
        if place and place[0] in LOCATION_PREFIXES:
            place = place[1:]
        details.setdefault(".".join(place) or "body", []).append(error_message(error))
    return ValidationError(details=details)


def error_message(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, in pydantic's words unless those are about Python."""
    if ours := MESSAGES.get(error["type"]):
        return ours.format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ")


AN_OBJECT, AN_ID = "Input should be an object", "Input should be an id"
MESSAGES = {
    "dict_type": AN_OBJECT,
    "model_attributes_type": AN_OBJECT,
    "model_type": AN_OBJECT,
    "too_long": "List should have at most {max_length} items",
    "uuid_type": AN_ID,
}
"""By the kind of error."""


def validate(shape: type[Model], values: Mapping[str, Any]) -> Model:
    """Values from a client as one of the shapes above."""
    try:
        return shape.model_validate(dict(values))
    except pydantic.ValidationError as error:
        raise to_validation_error(error.errors(include_url=False)) from error

"""Input types and their limits, declared once for both protocols."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from uuid import UUID

import pydantic
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from models.errors import ValidationError

Model = TypeVar("Model", bound=BaseModel)

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 20, 100
MAX_EMAIL_LENGTH = 254
"""Characters (RFC 5321)."""

LOCATION_PREFIXES = ("body", "query", "path", "header", "input")
"""Parts of the request, which FastAPI puts before a field's path."""

MAX_ID_LENGTH = len("urn:uuid:{}") + 36
NIL_UUID = UUID(int=0)
"""The id of no entity. A malformed id is parsed as this one, so that it is not found."""


class ExternalId(UUID):
    """A third party's id (Stripe's `evt_…`). Compares as the nil UUID; keeps its text."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        super().__init__(int=0)
        object.__setattr__(self, "text", text)


def raw_id(id: Any) -> str:
    """Return the text of a third party's id, as the client sent it."""
    return id.text if isinstance(id, ExternalId) else str(id)


class Input(BaseModel):
    """The base class of inputs: field names in camelCase, unknown fields rejected."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


def reject_nul(text: str) -> str:
    """Reject U+0000, which Postgres cannot store."""
    if "\0" in text:
        raise ValueError("must not contain the character U+0000")
    return text


def parse_id_or_nil(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return parse_uuid(value) if len(value) <= MAX_ID_LENGTH else NIL_UUID


@lru_cache(4096)
def parse_uuid(text: str) -> UUID:
    """Parse an id, or return the nil UUID. Cached, because Python's `UUID` is slow to parse."""
    try:
        return UUID(text)
    except ValueError:
        return NIL_UUID


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
EmailText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_EMAIL_LENGTH), Storable]
NewPassword = Annotated[str, StringConstraints(min_length=8, max_length=128), Storable]


def to_validation_error(errors: Iterable[Mapping[str, Any]]) -> ValidationError:
    """Convert pydantic's errors: `details` has the messages of each invalid field, by its path."""
    details: dict[str, list[str]] = {}
    for error in errors:
        path = [str(part) for part in error["loc"]]
        if path and path[0] in LOCATION_PREFIXES:
            path = path[1:]
        details.setdefault(".".join(path) or "body", []).append(error_message(error))
    return ValidationError(details=details)


def error_message(error: Mapping[str, Any]) -> str:
    """Return the message of an error: pydantic's, unless that names types of Python."""
    if message := MESSAGES.get(error["type"]):
        return message.format(**error.get("ctx", {}))
    return error["msg"].removeprefix("Value error, ")


MESSAGES = {
    **dict.fromkeys(("dict_type", "model_attributes_type", "model_type"), "Input should be an object"),
    "too_long": "List should have at most {max_length} items",
    "uuid_type": "Input should be an id",
}
"""Messages by pydantic's error type."""


def validate(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return the model of a client's values, or raise `ValidationError`."""
    try:
        return model.model_validate(dict(values))
    except pydantic.ValidationError as error:
        raise to_validation_error(error.errors(include_url=False)) from error

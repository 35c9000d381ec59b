"""What an operation comes to: JSON text for each of its fields, and what was refused along the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphql import GraphQLError

from gateway.graphql.documents.selection import Field
from gateway.graphql.errors import field_error
from gateway.graphql.planning.plan import Plan, not_found_error
from models.errors import ValidationError

NULL = "null"
LARGEST = 64 * 2**20
"""Characters of an answer. Points bound how many objects it has, and not how long they are."""
TOO_LARGE = "The answer is larger than {:,} characters; ask for fewer rows, or for less of each"


@dataclass
class ExecutionResult:
    """Fields are told or refused; a refused one is null, and where it must not be, so is all the data."""

    complete: bool
    """False where graphql-core has to finish the answer: introspection, fields in plain Python."""
    texts: dict[str, str] = field(default_factory=dict)
    errors: list[GraphQLError] = field(default_factory=list)
    refused: dict[str, GraphQLError] = field(default_factory=dict)
    """The first error of each refused field."""
    data_is_null: bool = False

    def set_field(self, field: Field, text: str | None) -> None:
        self.texts[field.key] = text or NULL

    def set_error(self, field: Field, error: Exception) -> None:
        error = error if isinstance(error, GraphQLError) else field_error(error, field)
        self.texts[field.key] = NULL
        self.errors.append(error)
        self.refused.setdefault(field.key, error)
        self.data_is_null = self.data_is_null or field.required

    def to_bytes(self) -> bytes:
        if self.data_is_null:
            return NULL.encode()
        return ("{" + ",".join([f'"{key}":{text}' for key, text in self.texts.items()]) + "}").encode()

    def to_root_value(self) -> dict[str, Any]:
        """The same as graphql-core's root value: what was refused is raised by its field."""
        return {key: self.refused.get(key) or orjson.loads(text) for key, text in self.texts.items()}


def from_row(plan: Plan, row: Sequence[str | None], refused: Sequence[GraphQLError]) -> ExecutionResult:
    """A statement's columns as the fields that they answer, unless there is more in them than an answer may hold."""
    if sum([len(text) for text in row if text]) > LARGEST:
        raise ValidationError(TOO_LARGE.format(LARGEST))
    outcome = ExecutionResult(plan.complete)
    at_fault = {error.path[0]: error for error in reversed(refused)}
    for root in plan.roots:
        error = root.refused or at_fault.get(root.field.key)
        text = None if root.column is None else row[root.column]
        if error is None and text is None and root.field.required:
            error = not_found_error(root)
        if error is None:
            outcome.set_field(root.field, text)
        else:
            outcome.set_error(root.field, error)
    return outcome

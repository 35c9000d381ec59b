"""Conversion of exceptions to GraphQL errors, with the messages, codes and statuses of `models.errors`."""

import logging
import re
from collections.abc import Iterable
from typing import Any

from graphql import GraphQLError

from gateway.graphql.documents.selection import Field
from gateway.http.errors import log_cause
from models.errors import APIError, ValidationError

logger = logging.getLogger("gateway.graphql")


class RequestError(Exception):
    """A request of which nothing is executed, because its document, its variables or its type is invalid."""

    def __init__(self, errors: Iterable[GraphQLError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(error.message for error in self.errors))


def field_error(error: Exception, field: Field) -> GraphQLError:
    """Locate an error at the field that raised it."""
    return GraphQLError(str(error), field.nodes, path=field.path, original_error=error)


def to_api_error(error: Exception) -> APIError:
    """Return the error to send: an `APIError`, graphql-core's error in the request, or `INTERNAL_ERROR` for others."""
    cause = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, APIError):
        log_cause(cause)
        return cause
    if isinstance(cause, GraphQLError) and cause.path is None:
        # The outermost message names the place of the error.
        return ValidationError(strip_input(str(getattr(error, "message", error))))
    logger.error("Unexpected error", exc_info=(type(cause), cause, cause.__traceback__))
    return APIError()


INPUT_IN_MESSAGE = re.compile(r"[,;]? [Ff]ound: ")


def strip_input(message: str) -> str:
    """Remove the input that graphql-core quotes after "found:", which may contain a password."""
    description, *quoted = INPUT_IN_MESSAGE.split(message, 1)
    return description + "." if quoted and not description.endswith("?") else description


def format_error(error: Exception, request_id: str) -> dict[str, Any]:
    """Return the entry of `errors` in a response."""
    api_error = to_api_error(error)
    entry = error.formatted if isinstance(error, GraphQLError) else {}
    extensions = {"code": api_error.code, "status": api_error.status}
    if api_error.details is not None:
        extensions["details"] = api_error.details
    return {**entry, "message": api_error.message, "extensions": {**extensions, "requestId": request_id}}

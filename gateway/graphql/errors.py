"""Refusals in GraphQL's form: the words, codes and statuses of `models.errors`, each at its place in the answer."""

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
    """A request of which nothing is executed: its document, its variables or its kind is refused."""

    def __init__(self, errors: Iterable[GraphQLError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(error.message for error in self.errors))


def field_error(refusal: Exception, field: Field) -> GraphQLError:
    """A refusal at the field that was refused."""
    return GraphQLError(str(refusal), field.nodes, path=field.path, original_error=refusal)


def to_api_error(error: Exception) -> APIError:
    """What a client is told: our own refusals, and graphql-core's of what was asked; of all else, nothing."""
    cause = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    if isinstance(cause, APIError):
        log_cause(cause)
        return cause
    if isinstance(cause, GraphQLError) and cause.path is None:
        return ValidationError(strip_input(str(getattr(error, "message", error))))  # the outermost says where
    logger.error("Unexpected error", exc_info=(type(cause), cause, cause.__traceback__))
    return APIError()


FOUND = re.compile(r"[,;]? [Ff]ound: ")


def strip_input(message: str) -> str:
    """What graphql-core says is wrong, without the whole input that it found instead: there may be a password in it."""
    wrong, *found = FOUND.split(message, 1)
    return wrong + "." if found and not wrong.endswith("?") else wrong


def format_error(error: Exception, request_id: str) -> dict[str, Any]:
    """One entry of `errors`."""
    refusal = to_api_error(error)
    entry = error.formatted if isinstance(error, GraphQLError) else {}
    extensions = {"code": refusal.code, "status": refusal.status}
    if refusal.details is not None:
        extensions["details"] = refusal.details
    return {**entry, "message": refusal.message, "extensions": {**extensions, "requestId": request_id}}

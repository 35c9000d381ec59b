"""Descriptions of types, fields, arguments and enum values, for introspection and `schema.graphql`.

They are taken from docstrings (of classes, resolvers and attributes) and from the tables below. Limits of inputs are
taken from their constraints.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any

import strawberry

from resolvers.inputs import MAX_PAGE_SIZE

ARGUMENT_DESCRIPTIONS = {
    "after": "Cursor: return the items after it.",
    "before": "Cursor: return the items before it.",
    "content": "Text of the comment.",
    "filter": "Conditions; null means the default.",
    "first": f"Number of items from the start, 1 to {MAX_PAGE_SIZE}.",
    "id": "Id of the object.",
    "input": "The input values.",
    "last": f"Number of items from the end, 1 to {MAX_PAGE_SIZE}. Not together with `first`.",
    "limit": f"Number of items on a page, 1 to {MAX_PAGE_SIZE}.",
    "orderBy": "Sort order.",
    "page": "Page number, starting at 1.",
    "postId": "Id of the post.",
    "since": "Id of an event: start with the events after it.",
    "slug": "Slug of the post.",
    "status": "Only items with this status.",
    "types": "Only these types; null means all.",
    "version": "Expected version. If the post has another one, the operation fails with PRECONDITION_FAILED.",
}
"""By argument name, the same for all fields."""

INPUT_DESCRIPTIONS = {
    "authorId": "Id of the author.",
    "categoryId": "Id of the category.",
    "content": "Text of the post.",
    "deleted": "Deleted posts instead of the others. Admins only.",
    "email": "Email address, case-insensitive.",
    "excerpt": "Short summary.",
    "name": "Display name.",
    "password": "The account's password.",
    "q": "Text that the title or content contains, case-insensitive.",
    "status": "Status of the post.",
    "tag": "Slug of a tag.",
    "tags": "Names of the post's tags. Missing tags are created.",
    "title": "Title of the post.",
    "uploadIds": "Ids of the viewer's uploads, in display order.",
}
"""By field name, the same for all inputs."""

LIMITS = ("minLength", "maxLength", " characters"), ("minItems", "maxItems", " items"), ("minimum", "maximum", "")
"""Keywords of JSON Schema for the lower and upper limit, and their unit."""


@cache
def attribute_docstrings(cls: type) -> dict[str, str]:
    """Return the docstrings below a class's attributes, by attribute name."""
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, ValueError):  # created at run time, or installed without source
        return {}
    return {
        name: text
        for statement, following in zip(body.body, body.body[1:], strict=False)
        for name, text in _attribute_docstring(statement, following)
    }


def _attribute_docstring(statement: ast.stmt, following: ast.stmt) -> list[tuple[str, str]]:
    """Return the name and docstring of an attribute if the statements declare one, else nothing."""
    match statement, following:
        case (
            ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
            ast.Expr(value=ast.Constant(value=str(text))),
        ):
            return [(name, inspect.cleandoc(text))]
    return []


def describe_limits(json_schema: Mapping[str, Any]) -> str | None:
    """Return a sentence on the allowed length or range of a value; None if it is not limited."""
    value = next((option for option in json_schema.get("anyOf", ()) if option.get("type") != "null"), json_schema)
    for low, high, unit in LIMITS:
        if high in value:
            limits = f"{f'{value[low]:,} to' if low in value else 'At most'} {value[high]:,}{unit}"
            each = describe_limits(value.get("items", {}))
            return f"{limits}, {each[:-1]} each." if each else f"{limits}."
    return None


def describe_enum(enum: type[Enum], description: str | None = None, **values: str) -> Any:
    """Declare a GraphQL enum with a description of each value."""
    graphql_enum = strawberry.enum(enum, description=description or inspect.getdoc(enum))
    for value in graphql_enum.__strawberry_definition__.values:
        value.description = values.get(value.name) or attribute_docstrings(enum).get(value.name)
    return graphql_enum

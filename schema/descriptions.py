"""Words for people: what each type, field, argument and enum value is, as introspection and `schema.graphql` tell it.

Docstrings are the source: a class's, a resolver's, and the string that stands under an attribute.
"""

import ast
import inspect
import textwrap
from enum import Enum
from functools import cache
from typing import Any

import strawberry

ARGUMENT_DESCRIPTIONS = {
    "after": "A cursor: what comes after it.",
    "before": "A cursor: what comes before it.",
    "content": "1 to 2,000 characters.",
    "filter": "Which ones; null means the default.",
    "first": "How many from the start, 1 to 100.",
    "id": "Its id.",
    "input": "What is given.",
    "last": "How many from the end, 1 to 100; not together with `first`.",
    "limit": "How many on a page, 1 to 100.",
    "orderBy": "In which order.",
    "page": "Which page, from 1.",
    "postId": "The post's id.",
    "since": "An event's id: what came after it is told first.",
    "slug": "Its slug, as it stands in links.",
    "status": "Only those of this status.",
    "types": "Which kinds; null means all.",
    "version": "The version that was read: refused with PRECONDITION_FAILED if there is a later one.",
}
"""Arguments mean the same wherever they stand."""

INPUT_DESCRIPTIONS = {
    "authorId": "Written by this user.",
    "categoryId": "Filed under this category.",
    "content": "10 to 100,000 characters.",
    "deleted": "Those that were deleted, instead of the others. Admins only.",
    "email": "An address, whatever its case.",
    "excerpt": "At most 300 characters.",
    "name": "1 to 100 characters.",
    "password": "8 to 128 characters.",
    "q": "What title or content must hold, whatever its case.",
    "status": "Where the post stands.",
    "tag": "The slug of a tag that it has.",
    "tags": "Names of at most 20 tags, 1 to 50 characters each; those that are new are made.",
    "title": "1 to 100 characters.",
    "uploadIds": "Ids of at most 20 uploads of one's own, in the order that they are to be shown.",
}
"""So do the fields of inputs."""


@cache
def attribute_docstrings(cls: type) -> dict[str, str]:
    """The strings that stand under a class's attributes, by the attribute's name."""
    try:
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, ValueError):  # made at run time, or shipped without its source
        return {}
    return {
        name: text
        for place, after in zip(body.body, body.body[1:], strict=False)
        for name, text in _docstring_of(place, after)
    }


def _docstring_of(place: ast.stmt, after: ast.stmt) -> list[tuple[str, str]]:
    """What one statement says of the attribute that the statement before it declares."""
    match place, after:
        case (
            ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
            ast.Expr(value=ast.Constant(value=str(text))),
        ):
            return [(name, inspect.cleandoc(text))]
    return []


def described_enum(enum: type[Enum], description: str | None = None, **values: str) -> Any:
    """An enum as GraphQL shows it, with a word on each of its values."""
    shown = strawberry.enum(enum, description=description or inspect.getdoc(enum))
    for value in shown.__strawberry_definition__.values:
        value.description = values.get(value.name) or attribute_docstrings(enum).get(value.name)
    return shown

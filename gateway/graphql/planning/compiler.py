"""Compile the fields of an operation to one SELECT that returns them as JSON.

Each resolver's SELECT becomes a derived table, and the JSON is built over that. So a page is cut before its rows are
decorated, and each table occurs in exactly one place, where its visibility rule is added.
"""

import inspect
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, null, select
from sqlalchemy import inspect as mapped
from sqlalchemy.orm import aliased, with_loader_criteria

from gateway.graphql.documents.selection import Field
from gateway.graphql.planning.json_sql import JsonArray, JsonObject, to_wire, typename
from gateway.graphql.planning.pagination import Connection, Page, limit_rows
from gateway.graphql.planning.parameters import RequestParameter, StatementParameters
from gateway.graphql.planning.visibility import VisibilityRule, has_visibility_rule, iter_entities
from models import Viewer
from models.base import Entity
from schema.fields import COLUMN_KEY, TYPENAME_KEY

PAGINATORS = {"Connection": Connection, "Page": Page}

Row = Any
"""An entity, aliased to a derived table of some of its rows."""


class Compiler:
    """Compiles the fields of one statement with the visibility rules of one viewer."""

    def __init__(self, viewer: Viewer | None, names: dict[type[Entity], str], *, with_typenames: bool = False) -> None:
        self.viewer, self.names = viewer, names
        self.with_typenames = with_typenames
        """True if rows of abstract types need their type's name, from which graphql-core resolves the type."""
        self.current_field: Field | None = None
        """The field that is being compiled, which gets the error if that fails."""
        self.parameters = StatementParameters()

    def statement(self, columns: list[ColumnElement]) -> Select:
        """Return a SELECT of one row, with one column of JSON for each root field."""
        return select(*columns or [null()]).options(*self.rules())

    def rules(self) -> list[Any]:
        """Return options by which SQLAlchemy adds each entity's rule wherever its table occurs."""
        rules = [
            VisibilityRule(entity, entity.visible_to(self.viewer))
            for entity in iter_entities(Entity)
            if has_visibility_rule(entity)
        ]
        return [with_loader_criteria(rule.entity, rule) for rule in rules]

    def column(self, field: Field) -> ColumnElement:
        """Compile a root field to a column of the statement."""
        return literal_column(f"'\"{field.parent}\"'") if field.name == "__typename" else self.compile_field(field)

    def compile_field(self, field: Field, row: Row = None) -> ColumnElement:
        """Compile a field of a row, or a root field if there is no row."""
        self.current_field = field
        if field.name == "__typename":
            return typename(field.parent)
        selected = self.resolve_field(field, row)
        if isinstance(selected, list):
            return func.coalesce(*(self.compile_single(field, rows) for rows in selected))
        if not isinstance(selected, Select):
            return to_wire(selected)
        if field.wrapper_type in PAGINATORS:
            paginator = PAGINATORS[field.wrapper_type]
            return paginator(field, selected, self.parameters, self.compile_object, is_root=row is None).compile()
        if field.is_list:
            return self.compile_list(field, limit_rows(field, selected, self.parameters))
        return self.compile_single(field, selected)

    def resolve_field(self, field: Field, row: Row) -> ColumnElement | Select | list[Select]:
        """Return a column, the rows of a relationship, or the result of the resolver."""
        if field.resolver is None:
            attribute = getattr(row, field.name)
            return relationship_select(attribute, row) if hasattr(attribute.property, "mapper") else attribute
        selected = field.resolver(self.viewer, **row_argument(field.resolver, row), **resolver_arguments(field))
        return correlate(selected, row) if row is not None and isinstance(selected, Select) else selected

    def compile_result(self, field: Field, *path: str) -> ColumnElement:
        """Compile the entity whose id is at a path of a mutation's result."""
        self.current_field = field
        entity = next(entity for entity, name in self.names.items() if name == field.named_type.name)
        id = RequestParameter(("result", *path), entity.__table__.c.id.type)
        return self.compile_single(field, select(entity).where(entity.id == id))

    def compile_single(self, field: Field, rows: Select) -> ColumnElement:
        row = aliased(entity_of(rows), rows.subquery())
        return select(self.compile_object(field, row)).select_from(row).scalar_subquery()

    def compile_list(self, field: Field, rows: Select) -> ColumnElement:
        row = aliased(entity_of(rows), rows.subquery())
        return select(JsonArray(self.compile_object(field, row))).select_from(row).scalar_subquery()

    def compile_object(self, field: Field, row: Row) -> JsonObject:
        """Compile the selection of a row, given as an aliased entity."""
        name = self.names[mapped(row).mapper.class_]
        entries = {TYPENAME_KEY: typename(name)} if self.with_typenames and len(field.fields) > 1 else {}
        for child in field.fields[name]:
            if child.columns is None:
                entries[child.key] = self.compile_field(child, row)
            else:
                entries |= {COLUMN_KEY + column: to_wire(getattr(row, column)) for column in child.columns}
        return JsonObject(entries)


def relationship_select(attribute: Any, row: Row) -> Select:
    relationship = attribute.property
    target = relationship.mapper.class_
    rows = select(target).where(attribute.of_type(target)).order_by(*(relationship.order_by or ()))
    return correlate(rows, row)


def correlate(rows: Select, row: Row) -> Select:
    """Let a SELECT refer to a row of the enclosing query."""
    return rows.correlate(mapped(row).selectable)


def row_argument(resolver: Callable[..., Any], row: Row) -> dict[str, Row]:
    """Return the row under the name of the resolver's second parameter."""
    if row is None:
        return {}
    _, name, *_ = inspect.signature(resolver).parameters
    return {name: row}


def resolver_arguments(field: Field) -> dict[str, Any]:
    parameters = inspect.signature(field.resolver).parameters
    return {name: value for name, value in field.arguments.items() if name in parameters}


def entity_of(rows: Select) -> type[Entity]:
    return rows.column_descriptions[0]["entity"]

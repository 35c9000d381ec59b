"""From the fields asked for to one SELECT that answers them as JSON.

Rows are always read the same way: a resolver's SELECT becomes a derived table, and the JSON is built over that. So the
page comes first and its decoration after, and each table is met in exactly one place, where its rule is added.
"""

import inspect
from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, String, func, literal, literal_column, null, select
from sqlalchemy import inspect as mapped
from sqlalchemy.orm import aliased, with_loader_criteria
from sqlalchemy.types import TypeEngine

from gateway.graphql.documents.selection import Field
from gateway.graphql.planning.json_sql import JsonArray, JsonObject, to_wire
from gateway.graphql.planning.pagination import Connection, Page, Paginator, limited
from gateway.graphql.planning.parameters import RequestParameter
from gateway.graphql.planning.visibility import VisibilityRule, has_visibility_rule, iter_entities
from models import Viewer
from models.base import Entity
from schema.fields import COLUMN_KEY, TYPENAME_KEY

PAGED = {"Connection": Connection, "Page": Page}

Row = Any
"""An entity, aliased to a derived table of some of its rows."""


class Compiler:
    """Compiles fields as a viewer may read them."""

    def __init__(self, viewer: Viewer | None, names: dict[type[Entity], str], *, hinted: bool = False) -> None:
        self.viewer, self.names = viewer, names
        self.with_typenames = hinted
        """Whether rows of several types say which they are, for graphql-core to tell them apart."""
        self.current_field: Field | None = None
        """The field being compiled: the one to blame if it is refused."""
        self.checked: list[RequestParameter] = []
        """What requests give that may be refused, whether or not the statement needs it."""
        self.counted_lists: list[Paginator] = []
        """The root's lists of which a total is asked."""

    def statement(self, columns: list[ColumnElement]) -> Select:
        """One row, with one column of JSON per field of the operation."""
        return select(*columns or [null()]).options(*self.rules())

    def rules(self) -> list[Any]:
        """Every entity's own rule, wherever its table appears: SQLAlchemy adds it, so nobody can forget it."""
        rules = [
            VisibilityRule(entity, entity.visible_to(self.viewer))
            for entity in iter_entities(Entity)
            if has_visibility_rule(entity)
        ]
        return [with_loader_criteria(rule.entity, rule) for rule in rules]

    def column(self, field: Field) -> ColumnElement:
        """A field of the operation's root."""
        return literal_column(f"'\"{field.parent}\"'") if field.name == "__typename" else self.compile_field(field)

    def compile_field(self, field: Field, row: Row = None) -> ColumnElement:
        """What one field says, of a row or of the operation's root."""
        self.current_field = field
        if field.name == "__typename":
            return typename(field.parent)
        selected = self.resolve_field(field, row)
        if isinstance(selected, list):
            return func.coalesce(*(self.compile_single(field, rows) for rows in selected))
        if not isinstance(selected, Select):
            return to_wire(selected)
        if field.wrapper_type in PAGED:
            return PAGED[field.wrapper_type](self, field, selected, is_root=row is None).answer()
        return (
            self.compile_list(field, limited(self, field, selected))
            if field.is_list
            else self.compile_single(field, selected)
        )

    def resolve_field(self, field: Field, row: Row) -> ColumnElement | Select | list[Select]:
        """A column, the rows of a relationship, or whatever the resolver makes of the row."""
        if field.resolver is None:
            attribute = getattr(row, field.name)
            return relationship_select(attribute, row) if hasattr(attribute.property, "mapper") else attribute
        selected = field.resolver(self.viewer, **row_argument(field.resolver, row), **resolver_arguments(field))
        return correlated(selected, row) if row is not None and isinstance(selected, Select) else selected

    def compile_result(self, field: Field, *place: str) -> ColumnElement:
        """The entity whose id an operation returned, by itself or under a name."""
        self.current_field = field
        entity = next(entity for entity, name in self.names.items() if name == field.named_type.name)
        return self.compile_single(
            field, select(entity).where(entity.id == RequestParameter(("result", *place), entity.__table__.c.id.type))
        )

    def bind_value(
        self, value: Any, type_: TypeEngine, read: Callable[[Any], Any], field: Field, instead: Any = None
    ) -> Any:
        """A value read by a function: at once if it stands in the document, per request if it is given."""
        if not isinstance(value, RequestParameter):
            return literal(read(value), type_)
        self.checked.append(RequestParameter(value.path, type_, read, field, instead))
        return self.checked[-1]

    def bind_count(self, list: Paginator) -> RequestParameter:
        """The total of a list of the root's, as a request may give it."""
        self.counted_lists.append(list)
        return RequestParameter(("counts", len(self.counted_lists) - 1), BigInteger())

    def compile_single(self, field: Field, rows: Select) -> ColumnElement:
        row = aliased(entity_of(rows), rows.subquery())
        return select(self.compile_object(field, row)).select_from(row).scalar_subquery()

    def compile_list(self, field: Field, rows: Select) -> ColumnElement:
        row = aliased(entity_of(rows), rows.subquery())
        return select(JsonArray(self.compile_object(field, row))).select_from(row).scalar_subquery()

    def compile_object(self, field: Field, row: Row) -> JsonObject:
        """A row as the fields below describe rows of its type."""
        name = self.names[mapped(row).mapper.class_]
        entries = {TYPENAME_KEY: typename(name)} if self.with_typenames and len(field.fields) > 1 else {}
        for below in field.fields[name]:
            if below.columns is None:
                entries[below.key] = self.compile_field(below, row)
            else:
                entries |= {COLUMN_KEY + column: to_wire(getattr(row, column)) for column in below.columns}
        return JsonObject(entries)


def typename(name: str) -> ColumnElement[str]:
    return literal_column(f"'{name}'", String)


def relationship_select(attribute: Any, row: Row) -> Select:
    relationship = attribute.property
    target = relationship.mapper.class_
    rows = select(target).where(attribute.of_type(target)).order_by(*(relationship.order_by or ()))
    return correlated(rows, row)


def correlated(rows: Select, row: Row) -> Select:
    """Rows that belong to a row of the query around them."""
    return rows.correlate(mapped(row).selectable)


def row_argument(resolver: Callable[..., Any], row: Row) -> dict[str, Row]:
    """The row as the resolver calls it: its second parameter."""
    if row is None:
        return {}
    _, name, *_ = inspect.signature(resolver).parameters
    return {name: row}


def resolver_arguments(field: Field) -> dict[str, Any]:
    wanted = inspect.signature(field.resolver).parameters
    return {name: value for name, value in field.arguments.items() if name in wanted}


def entity_of(rows: Select) -> type[Entity]:
    return rows.column_descriptions[0]["entity"]

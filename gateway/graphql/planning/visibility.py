"""What a plan must not do, checked while it is made: mistakes that would otherwise leak rows or read the wrong ones."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Self

from sqlalchemy import Boolean, Column, ColumnElement, False_, Select, UnaryExpression
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import asc_op, desc_op

from gateway.graphql.planning.absorption import simplify
from models.base import Entity


class UnsafeStatement(TypeError):
    """A resolver whose SELECT the engine cannot vouch for."""


def has_visibility_rule(entity: type[Entity]) -> bool:
    """Whether not everybody sees every row of it."""
    return entity.visible_to.__func__ is not Entity.visible_to.__func__


class VisibilityRule(FunctionElement):
    """An entity's rule, which says that it was written into a statement."""

    inherit_cache = False

    def __init__(self, entity: type[Entity], rule: ColumnElement[bool]) -> None:
        self.entity, self.type = entity, Boolean()
        super().__init__(rule)

    def simplified_beside(self, others: Iterable[ColumnElement[bool]]) -> "VisibilityRule":
        """The same, as it is written beside other conditions."""
        (rule,) = self.clauses
        return VisibilityRule(self.entity, simplify(rule, others))

    def self_group(self, against: Any = None) -> Self:
        """Stands as it is among other conditions: a database without booleans would compare it with one."""
        return self


@compiles(VisibilityRule)
def _(element: VisibilityRule, compiler: Any, **kw: Any) -> str:
    compiler.rules[element.entity.__table__] += 1
    (rule,) = element.clauses
    return f"({compiler.process(rule, **kw)})"


class CheckedCompiler:
    """A compiler of statements that refuses those it cannot vouch for."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        self.rules: Counter[Any] = Counter()
        self.tables: Counter[Any] = Counter()
        self.derived: Counter[Any] = Counter()
        super().__init__(*args, **kw)
        self.verify()

    def visit_table(self, table: Any, **kw: Any) -> str:
        self.tables[table._deannotate()] += bool(kw.get("asfrom"))
        return super().visit_table(table, **kw)

    def visit_subquery(self, alias: Any, **kw: Any) -> str:
        self.derived[alias] += bool(kw.get("asfrom"))
        return super().visit_subquery(alias, **kw)

    def _generate_delimited_and_list(self, clauses: Any, **kw: Any) -> str:
        """Beside a condition that is false the others are not written; a rule among them was heeded all the same."""
        if any(isinstance(clause, False_) for clause in clauses):
            self.rules.update(clause.entity.__table__ for clause in clauses if isinstance(clause, VisibilityRule))
        others = [clause for clause in clauses if not isinstance(clause, VisibilityRule)]
        clauses = [
            clause.simplified_beside(others) if isinstance(clause, VisibilityRule) else clause for clause in clauses
        ]
        return super()._generate_delimited_and_list(clauses, **kw)

    def verify(self) -> None:
        """Every table that has a rule was read under it, and every derived table stands in one FROM."""
        for table in {entity.__table__ for entity in iter_entities(Entity) if has_visibility_rule(entity)}:
            if self.tables[table] != self.rules[table]:
                raise UnsafeStatement(
                    f"{table.name}: its rule reaches neither its bare table nor an alias; select the entity"
                )
        for table, times in self.derived.items():
            if times > 1:
                raise UnsafeStatement(
                    f"{table}: a sub-select two levels below its row does not see it; join to reach it"
                )


def iter_entities(entity: type[Entity]) -> Iterator[type[Entity]]:
    for below in entity.__subclasses__():
        if hasattr(below, "__table__"):
            yield below
        yield from iter_entities(below)


def cursor_columns(rows: Select) -> tuple[list[ColumnElement], bool]:
    """The columns that rows are ordered by, and whether they descend.

    A cursor remembers a row by them, so none may be null, all must go in one direction, and the last must be unique.
    """
    clauses = rows._order_by_clauses
    keys = [clause.element if isinstance(clause, UnaryExpression) else clause for clause in clauses]
    directions = {getattr(clause, "modifier", asc_op) or asc_op for clause in clauses}
    columns = [column_of(key) for key in keys]
    if not columns or any(column is None or column.nullable for column in columns):
        raise UnsafeStatement("Pages are ordered by columns that are never null")
    if len(directions) > 1:
        raise UnsafeStatement("The columns that pages are ordered by go in one direction")
    if not (columns[-1].primary_key or columns[-1].unique):
        raise UnsafeStatement("The last of the columns that pages are ordered by is unique")
    return keys, directions == {desc_op}


def column_of(key: ColumnElement) -> Column | None:
    key = key._deannotate()
    return key if isinstance(key, Column) else None

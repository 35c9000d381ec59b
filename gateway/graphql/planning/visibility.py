"""Add visibility rules to statements, and reject statements that would leak rows or read the wrong ones."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Self

from sqlalchemy import Boolean, Column, ColumnElement, False_, Select, UnaryExpression, and_, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import asc_op, desc_op
from sqlalchemy.sql.visitors import iterate

from gateway.graphql.planning.parameters import RequestParameter
from models.base import Entity


class UnsafeStatement(TypeError):
    """The SELECT of a resolver that the engine cannot prove to be safe."""


def has_visibility_rule(entity: type[Entity]) -> bool:
    """Return true if the visibility of an entity's rows depends on the viewer."""
    return entity.visible_to.__func__ is not Entity.visible_to.__func__


class VisibilityRule(FunctionElement):
    """An entity's visibility rule, which the compiler counts when it compiles it."""

    inherit_cache = False

    def __init__(self, entity: type[Entity], rule: ColumnElement[bool]) -> None:
        self.entity, self.type = entity, Boolean()
        super().__init__(rule)

    def self_group(self, against: Any = None) -> Self:
        """Return the rule ungrouped: SQLite, which has no booleans, would get `rule = 1`."""
        return self


@compiles(VisibilityRule)
def _(element: VisibilityRule, compiler: Any, **kw: Any) -> str:
    compiler.rules[element.entity.__table__] += 1
    (rule,) = element.clauses
    return f"({compiler.process(rule, **kw)})"


class CheckedCompiler:
    """A mixin for SQL compilers that rejects unsafe statements."""

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
        """Simplify rules by the conditions beside them; count those beside `false`, which SQLAlchemy omits."""
        rules = [clause for clause in clauses if isinstance(clause, VisibilityRule)]
        others = [clause for clause in clauses if not isinstance(clause, VisibilityRule)]
        if any(isinstance(clause, False_) for clause in others):
            self.rules.update(rule.entity.__table__ for rule in rules)
        simplified = {rule: VisibilityRule(rule.entity, simplify(*rule.clauses, others)) for rule in rules}
        clauses = [simplified.get(clause, clause) for clause in clauses]
        return super()._generate_delimited_and_list(clauses, **kw)

    def verify(self) -> None:
        """Check that each table with a rule is read under it, and that each derived table is in only one FROM."""
        for table in {entity.__table__ for entity in iter_entities(Entity) if has_visibility_rule(entity)}:
            if self.tables[table] != self.rules[table]:
                raise UnsafeStatement(
                    f"{table.name}: the rule does not apply to a bare table or an alias; select the entity"
                )
        for table, times in self.derived.items():
            if times > 1:
                raise UnsafeStatement(f"{table}: a subquery two levels below a row cannot refer to it; use a join")


def simplify(rule: ColumnElement[bool], others: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the rule without the parts that the other conditions imply: `a AND (a OR b)` is `a` (the absorption law).

    A signed-in viewer sees posts that are published or their own. In a list of published posts the rule is then the
    same for every viewer, so that they share one cached count, and the count takes 1 ms instead of 7.
    """
    conditions = [condition for other in others for condition in flatten(other, operators.and_)]
    known = [deannotate(condition) for condition in conditions if has_no_parameters(condition)]
    return and_(true(), *(part for part in flatten(rule, operators.and_) if not is_implied(part, known)))


def is_implied(part: ColumnElement[bool], known: Iterable[ColumnElement[bool]]) -> bool:
    """Return true if an alternative of a disjunction is among the known conditions."""
    alternatives = [deannotate(each) for each in flatten(part, operators.or_) if has_no_parameters(each)]
    return any(alternative.compare(condition) for alternative in alternatives for condition in known)


def flatten(clause: ColumnElement[bool], operator: object) -> Iterator[ColumnElement[bool]]:
    """Yield the operands of nested conjunctions or disjunctions."""
    inner = clause.element if isinstance(clause, Grouping) else clause
    if isinstance(inner, BooleanClauseList) and inner.operator is operator:
        for operand in inner.clauses:
            yield from flatten(operand, operator)
    else:
        yield inner


def has_no_parameters(clause: ColumnElement[bool]) -> bool:
    """Return true if a clause has no request parameters. SQLAlchemy would take any two of them for equal."""
    return not any(isinstance(element, RequestParameter) for element in iterate(clause))


def deannotate(clause: ColumnElement[bool]) -> ColumnElement[bool]:
    """Remove the ORM's annotations, by which equal clauses may differ."""
    return clause._deannotate(clone=True)


def iter_entities(entity: type[Entity]) -> Iterator[type[Entity]]:
    for subclass in entity.__subclasses__():
        if hasattr(subclass, "__table__"):
            yield subclass
        yield from iter_entities(subclass)


def cursor_columns(rows: Select) -> tuple[list[ColumnElement], bool]:
    """Return the columns that rows are ordered by, and true if they descend.

    Cursors consist of them, so none may be null, all must have one direction, and the last must be unique.
    """
    clauses = rows._order_by_clauses
    keys = [clause.element if isinstance(clause, UnaryExpression) else clause for clause in clauses]
    directions = {getattr(clause, "modifier", asc_op) or asc_op for clause in clauses}
    columns = [column_of(key) for key in keys]
    if not columns or any(column is None or column.nullable for column in columns):
        raise UnsafeStatement("Order pages by columns that are never null")
    if len(directions) > 1:
        raise UnsafeStatement("Order pages by columns in one direction")
    if not (columns[-1].primary_key or columns[-1].unique):
        raise UnsafeStatement("Order pages by columns of which the last is unique")
    return keys, directions == {desc_op}


def column_of(key: ColumnElement) -> Column | None:
    key = key._deannotate()
    return key if isinstance(key, Column) else None

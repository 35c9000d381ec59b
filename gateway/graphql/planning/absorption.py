"""Of an entity's rule, what the other conditions of a SELECT say already is left out: `a AND (a OR b)` is `a`.

Whoever is signed in sees what is published or their own, and a list of what is published need not ask for the second.
Where it did, its count was taken anew for each viewer, and read every row: seven milliseconds instead of one.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import ColumnElement, and_, true
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BooleanClauseList, Grouping
from sqlalchemy.sql.visitors import iterate

from gateway.graphql.planning.parameters import RequestParameter


def simplify(rule: ColumnElement[bool], others: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """The rule without those of its choices that the other conditions have made."""
    conditions = [condition for other in others for condition in flatten(other, operators.and_)]
    made = [deannotate(condition) for condition in conditions if has_no_parameters(condition)]
    return and_(true(), *(part for part in flatten(rule, operators.and_) if not is_implied(part, made)))


def is_implied(part: ColumnElement[bool], made: Iterable[ColumnElement[bool]]) -> bool:
    """Whether one of the choices that a part leaves is among what is made."""
    choices = [deannotate(choice) for choice in flatten(part, operators.or_) if has_no_parameters(choice)]
    return any(choice.compare(condition) for choice in choices for condition in made)


def flatten(clause: ColumnElement[bool], operator: object) -> Iterator[ColumnElement[bool]]:
    """What is joined by an operator, however it is grouped."""
    inner = clause.element if isinstance(clause, Grouping) else clause
    if isinstance(inner, BooleanClauseList) and inner.operator is operator:
        for below in inner.clauses:
            yield from flatten(below, operator)
    else:
        yield inner


def has_no_parameters(clause: ColumnElement[bool]) -> bool:
    """Whether requests give nothing of it. To SQLAlchemy one parameter without a value equals another."""
    return not any(isinstance(element, RequestParameter) for element in iterate(clause))


def deannotate(clause: ColumnElement[bool]) -> ColumnElement[bool]:
    """Without what SQLAlchemy notes about where it came from, by which equals would differ."""
    return clause._deannotate(clone=True)

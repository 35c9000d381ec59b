"""What a target was found to ask for, so that who asks for it next need not have it found out again.

That, and who asks, is a quarter of what it takes to give an answer that is in memory.
"""

from collections.abc import Hashable
from typing import NamedTuple

from starlette.types import Scope

from gateway.graphql.cache.lru import Bounded
from gateway.graphql.cache.response_cache import Answers
from gateway.http.conditional import CREDENTIALS
from gateway.http.request_state import visit_of
from gateway.rest.framework.responses import Body

MOST, HEAVIEST = 5_000, 1024 * 1024
"""Targets, and their bytes in all."""


class Question(NamedTuple):
    """What is asked of the engine, by nobody in particular; and what that costs, in points."""

    asked: Hashable
    points: int


class Known:
    """Questions by the path and the query string that put them."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.questions: Bounded[Question] = Bounded(MOST, HEAVIEST, lambda target, _: sum(map(len, target)))

    def note(self, scope: Scope, asked: Hashable) -> None:
        """A stranger's request has just been read for, and charged."""
        self.questions.keep(target_of(scope), Question(asked, visit_of(scope).points))

    def given(self, scope: Scope) -> tuple[Body, int] | None:
        """What a stranger is answered, and the points that it costs them; None where that is not known, or no longer.

        Who says who they are goes the long way: it may not be true.
        """
        question = self.questions.get(target_of(scope))
        if question is None or not CREDENTIALS.isdisjoint(visit_of(scope).given):
            return None
        body = self.answers.held(question.asked, None)
        return body and (body, question.points)


def target_of(scope: Scope) -> tuple[str, bytes]:
    return scope["path"], scope["query_string"]

"""How GraphQL's answers are kept for requests that their senders name."""

from gateway.errors import OF_CODE
from gateway.graphql.engine import Answer
from gateway.idempotency import Form, Kept


def kept(answer: Answer) -> Kept | None:
    """Its JSON alone: each request is told it in the form that it asks for."""
    if any(OF_CODE[code].status >= 500 for code in answer.errors):
        return None
    return Kept(200, {}, answer.body)


def again(known: Kept) -> Answer:
    return Answer(known.body)


FORM = Form(kept, again)

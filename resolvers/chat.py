"""What can be asked of the language model."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from resolvers.context import RequestContext, requires_login
from resolvers.inputs import Input, Storable
from resolvers.ports import LanguageModel

MOST_MESSAGES, MOST_CHARACTERS = 50, 32_000


class Message(Input):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="Who says it.")
    content: Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS), Storable] = Field(
        description="What they say."
    )


def check_total_length(messages: list[Message]) -> list[Message]:
    if sum(len(message.content) for message in messages) > MOST_CHARACTERS:
        raise ValueError(f"must not have more than {MOST_CHARACTERS:,} characters in all")
    return messages


class Conversation(Input):
    """What has been said so far."""

    messages: Annotated[list[Message], AfterValidator(check_total_length)] = Field(
        min_length=1, max_length=MOST_MESSAGES, description=f"At most {MOST_CHARACTERS:,} characters in all."
    )


@requires_login
def stream_answer(ctx: RequestContext, model: LanguageModel, conversation: Conversation) -> AsyncGenerator[str, None]:
    """What the model says next, in pieces. It is not asked before the first of them is."""
    ctx.require_viewer()
    return model.answer([message.model_dump() for message in conversation.messages])

"""Chat with the language model."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from resolvers.context import RequestContext, requires_login
from resolvers.inputs import Input, Storable
from resolvers.ports import LanguageModel

MAX_MESSAGES, MAX_CHARACTERS = 50, 32_000


class Message(Input):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="The author of the message.")
    content: Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARACTERS), Storable] = Field(
        description="The text of the message."
    )


def check_total_length(messages: list[Message]) -> list[Message]:
    if sum(len(message.content) for message in messages) > MAX_CHARACTERS:
        raise ValueError(f"must not have more than {MAX_CHARACTERS:,} characters in total")
    return messages


class Conversation(Input):
    """The messages of a conversation, oldest first."""

    messages: Annotated[list[Message], AfterValidator(check_total_length)] = Field(
        min_length=1, max_length=MAX_MESSAGES, description=f"At most {MAX_CHARACTERS:,} characters in total."
    )


@requires_login
def stream_answer(ctx: RequestContext, model: LanguageModel, conversation: Conversation) -> AsyncGenerator[str, None]:
    """Return the model's answer in chunks. The request to the model is sent when the first chunk is awaited."""
    ctx.require_viewer()
    return model.answer([message.model_dump() for message in conversation.messages])

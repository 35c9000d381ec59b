"""The language model of a server without an `OPENAI_API_KEY`."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from models.errors import NotConfigured


class UnconfiguredLanguageModel:
    def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        raise NotConfigured("Chat is not configured here")

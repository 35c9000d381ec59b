"""What stands where there is no language model."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from models.errors import NotConfigured


class UnconfiguredLanguageModel:
    def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        raise NotConfigured("Chat is not configured here")

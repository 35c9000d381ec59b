"""Any server that speaks OpenAI's protocol. Imported only where it is needed: the `openai` package is optional."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Self

import httpx2
from openai import AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletionChunk

from models.errors import APIError, Unavailable, UpstreamError

logger = logging.getLogger("gateway.language_model")

CONNECT_TIMEOUT = 3.0
"""Seconds in which a connection is made, or the model cannot be reached."""
IDLE = 120.0
"""Seconds in which something is heard of a model that thinks, or it has stalled."""
UNREACHED = httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout


class Chunks(AsyncStream[ChatCompletionChunk]):
    """The package's stream, which also knows whether it came to its end or was broken off."""

    is_complete = False

    async def _iter_events(self) -> AsyncIterator[Any]:
        async for event in super()._iter_events():
            self.is_complete = event.data.startswith("[DONE]")
            yield event


class OpenAI:
    """One model of one server. A call that fails is not repeated: who asked knows best whether to ask again."""

    def __init__(self, key: str, base_url: str, model: str) -> None:
        self.model = model
        self.client = AsyncOpenAI(
            api_key=key, base_url=base_url, max_retries=0, timeout=Timeout(IDLE, connect=CONNECT_TIMEOUT)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def answer(self, messages: Sequence[Mapping[str, str]]) -> AsyncGenerator[str, None]:
        try:
            async with await self.create_stream(messages) as chunks:
                async for chunk in chunks:
                    text, is_last = parse_chunk(chunk)
                    if text:
                        yield text
                    if is_last:
                        return
                if not chunks.is_complete:
                    raise UpstreamError("The language model broke off")
        except APIError:
            raise
        except Exception as error:
            raise refusal_of(error) from None

    async def create_stream(self, messages: Sequence[Mapping[str, str]]) -> Chunks:
        body = {"model": self.model, "messages": messages, "stream": True}
        return await self.client.post(
            "/chat/completions", body=body, cast_to=ChatCompletionChunk, stream=True, stream_cls=Chunks
        )


def parse_chunk(chunk: Any) -> tuple[str, bool]:
    """A chunk's text, and whether it is the last. Some have none: a role, a call of a tool, what the answer cost."""
    choices = getattr(chunk, "choices", None)
    if not choices:
        return "", False
    return repair_surrogates(choices[0].delta.content or ""), choices[0].finish_reason is not None


def repair_surrogates(text: str) -> str:
    """Servers that cut an answer between bytes send halves of characters, which no strict reader takes."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def refusal_of(error: Exception) -> APIError:
    """What a client may know of a failure. The server's own words, which may be about the key, are not even logged."""
    known = type(error).__name__, getattr(error, "status_code", None)
    logger.warning("The language model failed: %s", " ".join(str(fact) for fact in known if fact))
    if isinstance(error.__cause__, UNREACHED):
        return Unavailable("The language model cannot be reached")
    return UpstreamError("The language model failed")

"""A client for servers with OpenAI's API. Import it only if chat is configured: the package `openai` is optional."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, Self

import httpx2
from openai import AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletionChunk

from models.errors import APIError, Unavailable, UpstreamError

logger = logging.getLogger("gateway.language_model")

CONNECT_TIMEOUT_SECONDS = 3.0
IDLE_TIMEOUT_SECONDS = 120.0
"""Longest wait for the next bytes of the model, which may have to think before it answers."""
CONNECT_ERRORS = httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout


class Chunks(AsyncStream[ChatCompletionChunk]):
    """The package's stream, extended to tell a complete response from an interrupted one."""

    is_complete = False

    async def _iter_events(self) -> AsyncIterator[Any]:
        async for event in super()._iter_events():
            self.is_complete = event.data.startswith("[DONE]")
            yield event


class OpenAI:
    """One model of one server. Failed calls are not retried; that is the client's decision."""

    def __init__(self, key: str, base_url: str, model: str) -> None:
        self.model = model
        timeout = Timeout(IDLE_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        self.client = AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=timeout)

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
                    raise UpstreamError("The language model was interrupted")
        except APIError:
            raise
        except Exception as error:
            raise to_api_error(error) from None

    async def create_stream(self, messages: Sequence[Mapping[str, str]]) -> Chunks:
        body = {"model": self.model, "messages": messages, "stream": True}
        return await self.client.post(
            "/chat/completions", body=body, cast_to=ChatCompletionChunk, stream=True, stream_cls=Chunks
        )


def parse_chunk(chunk: Any) -> tuple[str, bool]:
    """Return a chunk's text and whether it is the last one. Chunks with a role, a tool call or usage have no text."""
    choices = getattr(chunk, "choices", None)
    if not choices:
        return "", False
    return repair_surrogates(choices[0].delta.content or ""), choices[0].finish_reason is not None


def repair_surrogates(text: str) -> str:
    """Replace lone surrogates, which servers send that split a character, and which cannot be encoded as UTF-8."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def to_api_error(error: Exception) -> APIError:
    """Convert a failure to an error for clients. Log its type and status only: its message may contain the API key."""
    facts = type(error).__name__, getattr(error, "status_code", None)
    logger.warning("The language model failed: %s", " ".join(str(fact) for fact in facts if fact))
    if isinstance(error.__cause__, CONNECT_ERRORS):
        return Unavailable("The language model cannot be reached")
    return UpstreamError("The language model failed")

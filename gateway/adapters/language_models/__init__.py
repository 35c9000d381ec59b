"""Language models: any server with OpenAI's API, if `OPENAI_API_KEY` is set and the extra `chat` is installed."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.adapters.language_models.unconfigured import UnconfiguredLanguageModel
from gateway.settings import Settings
from resolvers.ports import LanguageModel

logger = logging.getLogger("gateway")


@asynccontextmanager
async def open_language_model(settings: Settings) -> AsyncIterator[LanguageModel]:
    """Open a client of the configured language model; close it at the end of the scope."""
    if not settings.openai_api_key:
        yield UnconfiguredLanguageModel()
        return
    try:
        from gateway.adapters.language_models.openai import OpenAI
    except ImportError:
        logger.warning("OPENAI_API_KEY is set, but the package openai is not installed: chat is disabled")
        yield UnconfiguredLanguageModel()
        return
    async with OpenAI(settings.openai_api_key, settings.openai_base_url, settings.openai_model) as model:
        yield model

"""Language models: whatever speaks OpenAI's protocol, where a key is set and the optional extra `chat` is installed."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.adapters.language_models.unconfigured import UnconfiguredLanguageModel
from gateway.settings import Settings
from resolvers.ports import LanguageModel

logger = logging.getLogger("gateway")


@asynccontextmanager
async def language_model(settings: Settings) -> AsyncIterator[LanguageModel]:
    """The model that these settings name, for the scope."""
    if not settings.openai_api_key:
        yield UnconfiguredLanguageModel()
        return
    try:
        from gateway.adapters.language_models.openai import OpenAI
    except ImportError:
        logger.warning("OPENAI_API_KEY is set, but the package openai is not installed: there is no chat")
        yield UnconfiguredLanguageModel()
        return
    async with OpenAI(settings.openai_api_key, settings.openai_base_url, settings.openai_model) as model:
        yield model

"""Why something failed, for the log alone: a client is told no more than that it did, and under which id."""

import logging

from models.errors import Refusal

MOST = 300
"""Characters of a cause that are noted."""

logger = logging.getLogger("gateway")


def note_cause(refusal: Refusal) -> None:
    """Of what a client can do nothing about, such as a database that is away, note what stands behind it."""
    cause = refusal.__cause__
    if refusal.status >= 500 and cause is not None:
        first = getattr(cause, "orig", None) or cause
        logger.warning("%s because of %s: %s", refusal.code, type(first).__name__, str(first).partition("\n")[0][:MOST])

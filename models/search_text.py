"""Text with its case taken away, in every script: how `q` is compared and titles sorted, on both databases alike."""

from typing import Any
from unicodedata import normalize

from sqlalchemy import Text
from sqlalchemy.types import TypeDecorator

DOTTED_I, DOTLESS_I = "i\N{COMBINING DOT ABOVE}", "\N{LATIN SMALL LETTER DOTLESS I}"


def casefold_text(text: str) -> str:
    """Unicode's caseless form: "STRASSE", "Straße" and their decomposed or full-width spellings are one.

    So are the four letters i of Turkish, whose cases no rule can pair without knowing the language.
    """
    return normalize("NFKC", normalize("NFKC", text).casefold()).replace(DOTTED_I, "i").replace(DOTLESS_I, "i")


class LikePattern(TypeDecorator[str]):
    """A LIKE pattern for text found anywhere in folded text; LIKE's own wildcards are taken literally."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return "%" + casefold_text(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"

"""Case-insensitive search and sorting, for every script and alike on both databases."""

from typing import Any
from unicodedata import normalize

from sqlalchemy import Text
from sqlalchemy.types import TypeDecorator

DOTTED_I, DOTLESS_I = "i\N{COMBINING DOT ABOVE}", "\N{LATIN SMALL LETTER DOTLESS I}"


def casefold_text(text: str) -> str:
    """Return the form of a text that is equal for "STRASSE", "Straße" and their decomposed or full-width spellings.

    This is Unicode's compatibility caseless form (NFKC). The four letters i of Turkish become one as well, because
    their cases cannot be matched without knowing the language.
    """
    return normalize("NFKC", normalize("NFKC", text).casefold()).replace(DOTTED_I, "i").replace(DOTLESS_I, "i")


class LikePattern(TypeDecorator[str]):
    """A LIKE pattern that matches a casefolded text anywhere. Wildcards in the text are escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return "%" + casefold_text(value).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"

"""Sanitize the filenames of uploads, which are shown to other people."""

from unicodedata import category, normalize

MAX_FILENAME_LENGTH = 255
"""Characters, as in most file systems."""
MAX_EXTENSION_LENGTH = 16
DEFAULT_FILENAME = "unnamed"

BIDI_CONTROLS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of text: `photo\u202egpj.exe` looks like an image. Joiners are kept, because
some scripts cannot be written without them."""


def sanitize(filename: str) -> str:
    """Return a filename without folders, control characters and lone surrogates.

    A name that is too long keeps its extension.
    """
    name = truncate_middle(filename.replace("\\", "/").rpartition("/")[2])
    name = "".join(letter for letter in normalize("NFC", name) if is_printable(letter)).strip()
    if not name.strip(". "):
        return DEFAULT_FILENAME
    stem, dot, suffix = name.rpartition(".")
    extension = dot + suffix if stem and len(suffix) <= MAX_EXTENSION_LENGTH else ""
    return name if len(name) <= MAX_FILENAME_LENGTH else name[: MAX_FILENAME_LENGTH - len(extension)] + extension


def truncate_middle(name: str) -> str:
    """Remove the middle of a very long name: the cost of normalization grows with the square of the length."""
    return name if len(name) <= 2 * MAX_FILENAME_LENGTH else name[:MAX_FILENAME_LENGTH] + name[-MAX_FILENAME_LENGTH:]


def is_printable(letter: str) -> bool:
    return category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in BIDI_CONTROLS

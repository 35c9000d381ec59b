"""What people call their files: shown again as they wrote it, and never trusted."""

from unicodedata import category, normalize

LONGEST = 255
"""Characters, as most file systems have it."""
UNNAMED = "unnamed"

TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of text: `photo\u202egpj.exe` looks like a picture. Joiners stay, for some
scripts cannot be written without them."""


def cleaned(given: str) -> str:
    """A name without folders, control characters or lone surrogates; of one that is too long the ending is kept."""
    name = shortened(given.replace("\\", "/").rpartition("/")[2])
    name = "".join(letter for letter in normalize("NFC", name) if is_shown(letter)).strip()
    if not name.strip(". "):
        return UNNAMED
    stem, dot, suffix = name.rpartition(".")
    kept = dot + suffix if stem and len(suffix) <= 16 else ""
    return name if len(name) <= LONGEST else name[: LONGEST - len(kept)] + kept


def shortened(name: str) -> str:
    """Takes the middle out of a name that is far too long: what normalizing costs grows with the square of it."""
    return name if len(name) <= 2 * LONGEST else name[:LONGEST] + name[-LONGEST:]


def is_shown(letter: str) -> bool:
    return category(letter) not in ("Cc", "Cs", "Zl", "Zp") and letter not in TURNING

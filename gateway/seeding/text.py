"""Random text for posts and comments: sentence templates filled with the words of `themes.toml`."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from random import Random

WORDS = tomllib.loads((files("gateway.seeding") / "themes.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Theme:
    """A category, and the words that its posts use."""

    name: str
    things: list[str]
    tools: list[str]
    tags: list[str]


THEMES = [Theme(**theme) for theme in WORDS["themes"]]
GENERAL_TAGS: list[str] = WORDS["general_tags"]


class TextGenerator:
    """Generates titles, paragraphs, comments and names. Equal random generators give equal text."""

    def __init__(self, random: Random) -> None:
        self.random = random

    def title(self, theme: Theme) -> str:
        return self.fill(self.random.choice(WORDS["titles"]), theme)

    def paragraph(self, theme: Theme) -> str:
        return self.sentences(WORDS["sentences"], self.random.randint(3, 5), theme)

    def comment(self, theme: Theme) -> str:
        return self.sentences(WORDS["comments"], self.random.choice((1, 1, 2)), theme)

    def sentences(self, templates: Sequence[str], count: int, theme: Theme) -> str:
        return " ".join(self.fill(template, theme) for template in self.random.sample(templates, count))

    def person(self) -> str:
        return f"{self.random.choice(WORDS['first_names'])} {self.random.choice(WORDS['last_names'])}"

    def fill(self, template: str, theme: Theme) -> str:
        """Replace the placeholders of a template with random words, and capitalise the first letter."""
        choose = self.random.choice
        thing, another = self.random.sample(theme.things, 2)
        text = template.format(
            thing=thing,
            a_thing=with_article(thing),
            another=with_article(another),
            tool=choose(theme.tools),
            quality=choose(WORDS["qualities"]),
            adjective=choose(WORDS["adjectives"]),
            span=choose(WORDS["spans"]),
            place=choose(WORDS["places"]),
        )
        return text[0].upper() + text[1:]


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def get_themes(count: int) -> list[Theme]:
    """Return `count` themes with different names: after the last theme of the file, repeat them with a number."""
    rounds = [divmod(number, len(THEMES)) for number in range(count)]
    return [
        replace(THEMES[index], name=f"{THEMES[index].name} {repeat + 1}") if repeat else THEMES[index]
        for repeat, index in rounds
    ]


def get_tag_names(count: int) -> list[str]:
    """Return `count` different tags: those of the themes and general ones, then with a prefix, then numbered."""
    theme_tags = [tag for tags in zip(*(theme.tags for theme in THEMES), strict=True) for tag in tags]
    names = list(dict.fromkeys([*GENERAL_TAGS[:4], *theme_tags, *GENERAL_TAGS]))
    names += [f"{prefix} {name}" for prefix in WORDS["tag_prefixes"] for name in names]
    return [names[number] if number < len(names) else f"topic {number + 1}" for number in range(count)]

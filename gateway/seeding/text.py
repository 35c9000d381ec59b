"""Made-up posts and comments about things that people make: a small grammar, filled in by chance."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Theme:
    """What the posts of one category are about."""

    name: str
    things: tuple[str, ...]
    tools: tuple[str, ...]
    tags: tuple[str, ...]


def split(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(","))


def make_theme(name: str, things: str, tools: str, tags: str) -> Theme:
    return Theme(name, split(things), split(tools), split(tags))


THEMES = (
    make_theme(
        "Woodwork",
        "dovetail joint, walnut box, three-legged stool, workbench, oak shelf, spoon, window frame, toy boat",
        "a marking gauge, the old chisel, a block plane, a coping saw, hide glue",
        "joinery, hand tools, oak, finishing",
    ),
    make_theme(
        "Gardening",
        "compost heap, tomato bed, apple tree, rain barrel, cold frame, herb spiral, hedge, window box",
        "a digging fork, twine, seed trays, a watering can, straw mulch",
        "soil, seeds, pruning, harvest",
    ),
    make_theme(
        "Baking",
        "sourdough loaf, rye starter, plum cake, flatbread, brioche, oat biscuit, pie crust, bagel",
        "a cast-iron pot, the kitchen scale, a linen cloth, a bench knife, steam",
        "bread, sourdough, recipes, flour",
    ),
    make_theme(
        "Cycling",
        "gravel bike, rear wheel, saddlebag, dynamo light, mountain pass, chain, touring route, cargo bike",
        "a spoke key, a torque wrench, two tyre levers, wax, a paper map",
        "touring, maintenance, commuting, routes",
    ),
    make_theme(
        "Astronomy",
        "meteor shower, star chart, homemade telescope, lunar eclipse, dark sky, red planet, comet, sundial",
        "a pair of binoculars, a red lamp, a plank tripod, a notebook, patience",
        "night sky, telescopes, moon, observing",
    ),
    make_theme(
        "Sailing",
        "wooden dinghy, mainsail, anchor, tide table, harbour, storm jib, rope splice, coastal passage",
        "a marlinspike, a hand compass, waxed thread, a bilge pump, the logbook",
        "boats, knots, weather, tides",
    ),
    make_theme(
        "Bookbinding",
        "sewn notebook, leather spine, paste paper, folding box, atlas, sketchbook, headband, endpaper",
        "a bone folder, linen thread, wheat paste, a sewing frame, an awl",
        "paper, sewing, leather, repair",
    ),
    make_theme(
        "Pottery",
        "tea bowl, celadon glaze, wood kiln, salad plate, lidded jar, handle, porcelain cup, tile",
        "a ribbon tool, a wet sponge, the kick wheel, iron oxide, a cut-off wire",
        "clay, glazes, kilns, wheel",
    ),
    make_theme(
        "Beekeeping",
        "hive, late swarm, honey frame, queen, wax candle, winter cluster, flow of lime blossom, observation hive",
        "a smoker, a hive tool, a soft brush, sugar syrup, a clean jar",
        "bees, honey, wax, spring",
    ),
    make_theme(
        "Maps",
        "contour line, island map, transit diagram, old survey, compass rose, trail sign, globe, street atlas",
        "a ruling pen, tracing paper, a theodolite, open data, a long walk",
        "cartography, data, walking, print",
    ),
    make_theme(
        "Music",
        "frame drum, waltz, accordion, choir, guitar string, music box, bass line, old reed organ",
        "a tuning fork, a metronome, soft felt, a field recorder, an empty room",
        "practice, instruments, sound, repertoire",
    ),
    make_theme(
        "Weather",
        "thunderstorm, weather vane, rain gauge, first frost, fog bank, barometer, heat wave, cloud atlas",
        "a thermometer, a tin funnel, a spreadsheet, an open window, a long record",
        "clouds, measuring, climate, seasons",
    ),
)

GENERAL_TAGS = split(
    "beginners, how-to, questions, mistakes, weekend project, diary, small spaces, tools, materials, history, "
    "on a budget, slow, community, teaching, photographs, plans, safety, winter, outdoors, notebook"
)
MORE_TAGS = split("advanced, local, tiny, forgotten, daily, shared, borrowed, southern, northern, modern")

FIRST = split(
    "Amber, Azure, Cedar, Coral, Copper, Dusty, Hazel, Indigo, Ivory, Jade, Linden, Maple, Misty, Moss, Olive"
)
LAST = split(
    "Heron, Finch, Otter, Willow, Brook, Plover, Badger, Swift, Lark, Harbour, Meadow, Marten, Wren, Fern, Tarn"
)

QUALITIES = split(
    "patience, balance, good light, symmetry, thrift, timing, attention, restraint, weight, rhythm, doubt"
)
ADJECTIVES = split(
    "first, second-hand, stubborn, honest, crooked, forgotten, tiny, patient, noisy, quiet, perfect, cheap"
)
SPANS = split("one afternoon, a rainy week, ten minutes, three winters, a single evening, forty days, half a year")
PLACES = split("in the shed, on the balcony, by the river, at the kitchen table, under the stairs, on the night train")

TITLES = (
    "What {a_thing} taught me about {quality}",
    "The {adjective} {thing}",
    "Notes on {a_thing} and {another}",
    "How I repaired {a_thing} in {span}",
    "{span} with {a_thing}",
    "Why your {thing} fails, and what to do",
    "In praise of the {adjective} {thing}",
    "{a_thing} {place}",
    "Ten small rules for {a_thing}",
    "Before you buy {a_thing}",
    "{quality}, or the {adjective} {thing}",
    "A field guide to the {thing}",
)
SENTENCES = (
    "I had put off the {thing} for {span}, mostly out of respect.",
    "You need {tool} and, more than that, {quality}.",
    "The {adjective} part is the beginning; after that {a_thing} nearly makes itself.",
    "Nobody tells you that {a_thing} depends on {quality}.",
    "I worked {place}, with {tool} and no plan to speak of.",
    "Compare it with {another}: there, {quality} is everything.",
    "It took {span}, and I would do it again tomorrow.",
    "If it looks wrong, stop; {tool} cannot repair a lack of {quality}.",
    "My neighbour swears by {tool}, and after {span} I have to agree.",
    "Measure it twice, write it down, and leave it alone for {span}.",
    "The second {thing} was worse than the first, which is how I learned what mattered.",
    "Seen {place}, even {a_thing} has a certain {quality}.",
    "There is a cheaper way, with {tool}, and I describe it below.",
    "What surprised me was the {quality} of it.",
)
COMMENTS = (
    "I tried this {place} and it worked the first time.",
    "Would {tool} do as well?",
    "Thank you, this saved me {span}.",
    "I disagree about {quality}, but the rest is exactly my experience.",
    "Please write more about {a_thing}!",
    "Mine cracked after {span}. What did I do wrong?",
    "The photograph {place} is lovely.",
    "Came for the {thing}, stayed for the {quality}.",
    "My {adjective} {thing} finally makes sense.",
    "How did you keep {a_thing} and {another} apart?",
    "Bookmarked for the next rainy weekend.",
)


class Writer:
    """Writes by chance: the same chance, the same words."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance

    def title(self, about: Theme) -> str:
        return sentence_case(self.fill(TITLES, about))

    def paragraph(self, about: Theme) -> str:
        sentences = self.chance.sample(SENTENCES, self.chance.randint(3, 5))
        return " ".join(sentence_case(self.fill((sentence,), about)) for sentence in sentences)

    def comment(self, about: Theme) -> str:
        sentences = self.chance.sample(COMMENTS, self.chance.choice((1, 1, 2)))
        return " ".join(sentence_case(self.fill((sentence,), about)) for sentence in sentences)

    def person(self) -> str:
        return f"{self.chance.choice(FIRST)} {self.chance.choice(LAST)}"

    def fill(self, patterns: tuple[str, ...], about: Theme) -> str:
        choose = self.chance.choice
        thing, another = self.chance.sample(about.things, 2)
        return choose(patterns).format(
            thing=thing,
            a_thing=with_article(thing),
            another=with_article(another),
            tool=choose(about.tools),
            quality=choose(QUALITIES),
            adjective=choose(ADJECTIVES),
            span=choose(SPANS),
            place=choose(PLACES),
        )


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def sentence_case(text: str) -> str:
    return text[0].upper() + text[1:]


def themes(count: int) -> list[Theme]:
    """As many themes as are asked for; those after the written ones are volumes of them."""
    return [
        THEMES[number]
        if number < len(THEMES)
        else numbered_theme(THEMES[number % len(THEMES)], number // len(THEMES) + 1)
        for number in range(count)
    ]


def numbered_theme(of: Theme, number: int) -> Theme:
    return Theme(f"{of.name} {number}", of.things, of.tools, of.tags)


def tag_names(count: int) -> list[str]:
    """Names of tags, each theme's own first; beyond the written ones, combinations and then numbers."""
    written = [tag for each in zip(*(theme.tags for theme in THEMES), strict=True) for tag in each]
    names = list(dict.fromkeys([*GENERAL_TAGS[:4], *written, *GENERAL_TAGS]))
    names += [f"{more} {name}" for more in MORE_TAGS for name in names]
    return [names[number] if number < len(names) else f"topic {number + 1}" for number in range(count)]

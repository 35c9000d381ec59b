"""Bar chart for the README, as SVG that follows the reader's light or dark theme."""

from collections.abc import Iterator
from html import escape
from textwrap import wrap

from tests.benchmarks.measuring import Cost, Costs
from tests.benchmarks.report import GATEWAY, by_workload

SHOWN = {"L": "A list of 20 posts with authors, counts and the total", "D": "One post with tags and 10 comments"}
LEFT_OUT = {"gateway, two workers", "floor, counting"}

WIDTH, NAMES, BARS = 760, 190, 480
BAR, STEP, TITLE, MARGIN = 18, 26, 44, 20

STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .small { font-size: 12px; fill: #59636e } .end { text-anchor: end }
rect { fill: #afb8c1 } .ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 } rect { fill: #4a525c } .ours { fill: #4493f8 }
}"""


def picture(costs: Costs, caption: str) -> str:
    """Return an SVG with requests per second and core, for each workload in `SHOWN`."""
    lines, height = [text(MARGIN, 28, "Requests per second and core, server and Postgres together", "title")], 40
    for workload, some in by_workload(costs).items():
        bars = ranked(some)
        if workload in SHOWN and bars:
            lines += chart(SHOWN[workload], bars, height)
            height += TITLE + STEP * len(bars)
    for words in wrap(caption, 115):
        lines.append(text(MARGIN, height + 24, words, "small"))
        height += 18
    height += 24
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    body = "\n".join(lines)
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<style>{STYLE}\n</style>\n{body}\n</svg>\n'


def chart(title: str, bars: list[tuple[str, Cost]], top: int) -> Iterator[str]:
    yield text(MARGIN, top + 30, title)
    most = bars[0][1].equivalent
    for number, (server, cost) in enumerate(bars):
        y, width = top + TITLE + STEP * number, max(2, BARS * cost.equivalent / most)
        kind = ' class="ours"' if server.startswith(GATEWAY) else ""
        yield text(NAMES - 10, y + 14, server, "small end")
        yield f'<rect x="{NAMES}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3"{kind}/>'
        yield text(NAMES + width + 8, y + 14, f"{cost.equivalent:,.0f}", "small")


def ranked(costs: dict[str, Cost]) -> list[tuple[str, Cost]]:
    """The fastest first."""
    shown = ((server, cost) for server, cost in costs.items() if server not in LEFT_OUT)
    return sorted(shown, key=lambda each: -each[1].equivalent)


def text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}">{escape(words)}</text>'

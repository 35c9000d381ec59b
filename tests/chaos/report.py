"""The table that `make chaos` prints."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.clients import Clients, Kept

HEAD = ("fault", "answers", "longest", "well again after", "acknowledged", "lost", "twice")
ROWS: list[tuple[str, ...]] = []
NOTES: list[str] = []


@dataclass(frozen=True)
class Outcome:
    """One fault."""

    name: str
    clients: Clients
    recovery: float
    kept: Kept

    def note(self) -> None:
        clients = self.clients
        codes = ", ".join(f"{number} {code}" for code, number in clients.codes.most_common())
        times = f"{clients.longest:.1f} s", f"{self.recovery:.2f} s"
        ROWS.append(
            (self.name, codes, *times, str(len(clients.acknowledged)), str(self.kept.lost), str(self.kept.twice))
        )


def lines() -> Iterable[str]:
    table = [HEAD, *ROWS] if ROWS else []
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield from NOTES

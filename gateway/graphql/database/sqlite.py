"""SQLite's short reads, answered on the event loop: to go to a thread and back takes longer than most of them do.

One post with its tags and comments takes SQLite 30 µs, and the thread 100 more. What turns out to be long is given up
after a millisecond, and asked again in a thread, where it keeps nobody waiting.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.database import sqlite

BUDGET = 0.001
"""Seconds that a statement may take here. It is the processor's time: on a busy machine nothing becomes longer."""
STEPS = 1_000
"""Of SQLite's machine between two looks at the clock: 0.01 to 0.12 ms. A look takes 0.3 µs."""
SKIP_COUNT = 50
"""How often a long statement goes to a thread at once until it is tried here again: with other parameters, or once its
total is known, it may be short, and to have tried in vain adds a fiftieth to what it takes."""
MOST = 200
"""Long statements that are remembered."""
LONGEST_TEXT = 16_000
"""Characters of a statement that comes here at all: to prepare it takes 60 µs for each thousand."""


class InlineConnection:
    """A connection of its own that only reads, and never waits for anybody."""

    def __init__(self, path: Path | str) -> None:
        self.connection = sqlite.connect_sync(path, read_only=True, busy_timeout_ms=0)
        self.connection.set_progress_handler(self.is_over_budget, STEPS)
        self.until = 0.0
        """When the statement that runs has had its time, by the clock of this thread."""
        self.skipped: dict[str, int] = {}
        """How many turns each statement that was too long is left out for."""

    def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None] | None:
        """The one row of a statement; None of what a thread has to be asked: what is long, locked, or goes wrong."""
        if len(sql) > LONGEST_TEXT or self.is_skipped(sql):
            return None
        self.until = time.thread_time() + BUDGET
        try:
            (row,) = self.connection.execute(sql, parameters).fetchall()  # to its end, which lets go of its snapshot
        except sqlite.sqlite.Error:
            if self.is_over_budget():
                self.skip(sql)
            return None
        return row

    def is_over_budget(self) -> bool:
        """Asked by SQLite too, which interrupts the statement that runs if so."""
        return time.thread_time() > self.until

    def is_skipped(self, sql: str) -> bool:
        turns = self.skipped.pop(sql, 0)
        if turns > 1:
            self.skipped[sql] = turns - 1
        return turns > 0

    def skip(self, sql: str) -> None:
        if len(self.skipped) >= MOST:
            del self.skipped[next(iter(self.skipped))]
        self.skipped[sql] = SKIP_COUNT

    def close(self) -> None:
        self.connection.close()

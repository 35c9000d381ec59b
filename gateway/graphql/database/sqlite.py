"""Run short SQLite statements on the event loop, because a thread takes longer than most of them do.

A post with its tags and comments takes 30 µs, and 100 µs more in a thread. A statement that takes more than a
millisecond is interrupted and repeated in a thread.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.database import sqlite

TIME_BUDGET_SECONDS = 0.001
"""CPU time of a statement on the event loop."""
PROGRESS_STEPS = 1_000
"""Virtual machine instructions between two checks of the clock: 0.01 to 0.12 ms. A check takes 0.3 µs."""
SKIP_COUNT = 50
"""Executions for which a long statement goes directly to a thread. Then it is tried here again, as it may be short with
other parameters or with a cached count."""
MAX_SKIPPED_STATEMENTS = 200
MAX_STATEMENT_LENGTH = 16_000
"""Characters of a statement that is tried here. To prepare a thousand takes 60 µs."""


class InlineConnection:
    """A read-only connection that never waits for a lock."""

    def __init__(self, path: Path | str) -> None:
        self.connection = sqlite.connect_sync(path, read_only=True, busy_timeout_ms=0)
        self.connection.set_progress_handler(self.is_over_budget, PROGRESS_STEPS)
        self.deadline = 0.0
        """End of the running statement's budget, in this thread's CPU time."""
        self.skipped: dict[str, int] = {}
        """Long statements, and how many further executions of each go directly to a thread."""

    def fetch_row(self, sql: str, parameters: Sequence[Any]) -> Sequence[str | None] | None:
        """Return the only row of a statement, or None if it has to run in a thread: it is long, locked or fails."""
        if len(sql) > MAX_STATEMENT_LENGTH or self.is_skipped(sql):
            return None
        self.deadline = time.thread_time() + TIME_BUDGET_SECONDS
        try:
            (row,) = self.connection.execute(sql, parameters).fetchall()  # fetchall ends the read transaction
        except sqlite.sqlite.Error:
            if self.is_over_budget():
                self.skip(sql)
            return None
        return row

    def is_over_budget(self) -> bool:
        """Return true after the deadline. SQLite calls this too, and interrupts the running statement."""
        return time.thread_time() > self.deadline

    def is_skipped(self, sql: str) -> bool:
        remaining = self.skipped.pop(sql, 0)
        if remaining > 1:
            self.skipped[sql] = remaining - 1
        return remaining > 0

    def skip(self, sql: str) -> None:
        if len(self.skipped) >= MAX_SKIPPED_STATEMENTS:
            del self.skipped[next(iter(self.skipped))]
        self.skipped[sql] = SKIP_COUNT

    def close(self) -> None:
        self.connection.close()

"""What a crowd of connections held goes back to the system once it has left.

Left alone it would not: the C library keeps what was freed beneath something that lives. Some of it stays even so, for
Python gives back whole mebibytes, and it and uvloop keep some hundreds of freed objects, wherever they lie, for later.
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable, Sized

MANY = 100
"""Connections that must have left since there were most: each may have held a body, of `MAX_BODY_BYTES`."""
PAUSE = 1.0
"""Seconds in which some more may leave."""


class Crowd:
    """How many connections a process has had since it last gave something back."""

    def __init__(self) -> None:
        self.most, self.looking = 0, False

    def came(self, connections: Sized) -> None:
        self.most = max(self.most, len(connections))

    def left(self, connections: Sized, tasks: Sized) -> None:
        if not self.looking and self.has_left(connections):
            self.looking = True
            self.look(connections, tasks, sys.maxsize)

    def look(self, connections: Sized, tasks: Sized, before: int) -> None:
        """Wait until what they asked for has ended, too."""
        now = len(connections) + len(tasks)
        if now < before:
            asyncio.get_running_loop().call_later(PAUSE, self.look, connections, tasks, now)
            return
        self.looking = False
        if self.has_left(connections):
            self.most = len(connections)
            give_back()

    def has_left(self, connections: Sized) -> bool:
        """Four in five: what the others hold is looked at too, which takes time."""
        return self.most - len(connections) > max(MANY, 4 * len(connections))


def give_back() -> None:
    """Some milliseconds' work, in which nobody is answered."""
    gc.collect()
    forget()
    trim(0)


forget: Callable[[], None] = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
"""Python remembers the last names that were looked for, wherever they lie."""
trim: Callable[[int], int] = getattr(ctypes.CDLL(None), "malloc_trim", int) if sys.platform == "linux" else int
"""The C library's own way; musl has none."""

CROWD = Crowd()
"""The process's."""

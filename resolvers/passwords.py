"""Passwords, as argon2 keeps them. Hashing takes tens of milliseconds of a core, so it has threads of its own."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from models.errors import Unavailable

HASHER = PasswordHasher()
THREADS = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="passwords")
MOST = 8 * (os.cpu_count() or 1)
"""Passwords in hand at once: one more would wait for half a second and longer."""


class Hashing:
    """How many passwords are in hand."""

    now = 0


async def hashed(password: str) -> str:
    return await apart(HASHER.hash, password)


async def matches(password: str, password_hash: str | None) -> bool:
    """Whether it is the password; without a hash it takes as long to say no."""
    return await apart(verified, password, password_hash)


async def apart(work: Callable[..., Any], *given: Any) -> Any:
    """In a thread, in turn. Raises `Unavailable` where too many wait for theirs."""
    if Hashing.now >= MOST:
        raise Unavailable
    Hashing.now += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(THREADS, work, *given)
    finally:
        Hashing.now -= 1


def verified(password: str, password_hash: str | None) -> bool:
    stand_in = decoy()
    try:
        HASHER.verify(password_hash or stand_in, password)
    except (Argon2Error, InvalidHashError):
        return False
    return password_hash is not None


@cache
def decoy() -> str:
    """What the password of an account that does not exist is compared with."""
    return HASHER.hash(os.urandom(16).hex())

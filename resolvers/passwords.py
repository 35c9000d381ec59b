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
POOL = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="passwords")
MAX_QUEUED = 8 * (os.cpu_count() or 1)
"""Passwords in hand at once: one more would wait for half a second and longer."""


class HashQueue:
    """How many passwords are in hand."""

    now = 0


async def hash_password(password: str) -> str:
    return await run_in_pool(HASHER.hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Whether it is the password; without a hash it takes as long to say no."""
    return await run_in_pool(_verify, password, password_hash)


async def run_in_pool(work: Callable[..., Any], *given: Any) -> Any:
    """In a thread, in turn. Raises `Unavailable` where too many wait for theirs."""
    if HashQueue.now >= MAX_QUEUED:
        raise Unavailable
    HashQueue.now += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(POOL, work, *given)
    finally:
        HashQueue.now -= 1


def _verify(password: str, password_hash: str | None) -> bool:
    stand_in = dummy_hash()
    try:
        HASHER.verify(password_hash or stand_in, password)
    except (Argon2Error, InvalidHashError):
        return False
    return password_hash is not None


@cache
def dummy_hash() -> str:
    """What the password of an account that does not exist is compared with."""
    return HASHER.hash(os.urandom(16).hex())

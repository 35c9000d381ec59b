"""Password hashing with argon2. A hash takes tens of milliseconds of a core, so it runs in a thread pool of its own."""

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
HASH_COST = 50
"""Cost points of an operation that hashes a password."""
POOL = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="passwords")
MAX_QUEUED = 8 * (os.cpu_count() or 1)
"""Hashes running and waiting; one more would wait for half a second or longer."""


class HashQueue:
    """The number of hashes that are running or waiting."""

    length = 0


async def hash_password(password: str) -> str:
    return await run_in_pool(HASHER.hash, password)


async def verify_password(password: str, password_hash: str | None) -> bool:
    """Return whether the password matches. Without a hash, take the same time and return False."""
    return await run_in_pool(_verify, password, password_hash)


async def run_in_pool(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function in the thread pool. Raise `Unavailable` if too many are waiting."""
    if HashQueue.length >= MAX_QUEUED:
        raise Unavailable
    HashQueue.length += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(POOL, function, *arguments)
    finally:
        HashQueue.length -= 1


def _verify(password: str, password_hash: str | None) -> bool:
    dummy = dummy_hash()
    try:
        HASHER.verify(password_hash or dummy, password)
    except (Argon2Error, InvalidHashError):
        return False
    return password_hash is not None


@cache
def dummy_hash() -> str:
    """Return the hash to compare with if there is no account, so that the response time does not tell."""
    return HASHER.hash(os.urandom(16).hex())

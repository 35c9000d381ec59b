"""Client addresses for tests of rate limits."""

import random


def unique_address() -> str:
    """Return an IPv6 address in a /64 of its own: a shared Redis still counts the clients of other tests and runs."""
    return f"2001:{random.randrange(16**4):x}:{random.randrange(16**4):x}:{random.randrange(16**4):x}::1"

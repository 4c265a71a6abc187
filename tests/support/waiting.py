"""Waiting for a condition, never for a time."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Longest wait for something that takes a second or two, on a machine that is busy.
PATIENCE = 30.0


async def until(look: Callable[[], T], what: str, within: float = PATIENCE) -> T:
    """Awaits that ``look`` returns something true, and returns it; the event loop goes on meanwhile."""
    end = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.02)
    return seen


def wait(look: Callable[[], T], what: str, within: float = PATIENCE) -> T:
    """Waits until ``look`` returns something true, and returns it."""
    end = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return seen

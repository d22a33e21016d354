"""Tests wait for the thing itself: ``until`` in a thread, ``eventually`` in an event loop."""

import asyncio
import time

SECONDS = 20


def until(condition, seconds=SECONDS):
    """Looks until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} seconds"
        time.sleep(0.005)


async def eventually(condition, seconds=SECONDS):
    """Looks until it is so, and lets others go on meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} seconds"
        await asyncio.sleep(0.002)

"""``map`` over members: who stops iterating gives up the rest, at once."""

import asyncio
import gc
import threading

import pytest

import meshcluster


@pytest.fixture
def no_garbage_collection():
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("own_mesh", "no_garbage_collection")
def test_what_is_under_way_is_cancelled_when_the_loop_breaks() -> None:
    cancelled = threading.Semaphore(0)

    async def reply(number: int) -> int:
        try:
            return number if number == 0 else await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.release()
            raise

    with meshcluster.join(name="worker") as worker, meshcluster.join(name="desk") as desk:
        worker.expose(reply)
        desk.wait_for_exposed("reply")
        for number in desk.map("reply", range(10), in_flight=3):
            assert number == 0
            break
        assert all(cancelled.acquire(timeout=10) for _ in range(2))

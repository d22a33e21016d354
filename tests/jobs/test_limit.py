"""Something may take so long, but for the time in which a password is typed."""

import asyncio

import pytest

from meshcluster.jobs.limit import Limit

FOREVER_SECONDS = 60


async def within(limit, function):
    async with limit:
        await function()


async def test_what_takes_longer_is_ended():
    with pytest.raises(TimeoutError):
        async with Limit(0.01) as limit:
            await asyncio.sleep(FOREVER_SECONDS)
    assert limit.expired


async def test_what_is_in_time_is_not():
    async with Limit(FOREVER_SECONDS) as limit:
        pass
    assert not limit.expired


@pytest.mark.parametrize("seconds", [None, FOREVER_SECONDS])
async def test_it_can_stand_still_before_and_after_it_counts(seconds):
    limit = Limit(seconds)
    with limit.paused():
        pass
    async with limit:
        with limit.paused():
            pass
    with limit.paused():
        pass
    assert not limit.expired


async def test_while_it_stands_still_no_time_passes():
    async with Limit(0.05) as limit:
        with limit.paused():
            await asyncio.sleep(0.1)
    assert not limit.expired


async def test_for_several_it_stands_still_until_the_last():
    async with Limit(0.05) as limit:
        with limit.paused():
            with limit.paused():
                pass
            await asyncio.sleep(0.1)
    assert not limit.expired


async def test_then_it_goes_on_where_it_was():
    limit = Limit(0.05)

    async def stopping():
        for _ in range(1000):
            with limit.paused():
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)

    with pytest.raises(TimeoutError):
        await within(limit, stopping)
    assert limit.expired


async def test_one_that_has_expired_stays_so():
    limit = Limit(0.01)

    async def asking_too_late():
        try:
            await asyncio.sleep(FOREVER_SECONDS)
        finally:
            with limit.paused():
                pass

    with pytest.raises(TimeoutError):
        await within(limit, asking_too_late)
    assert limit.expired

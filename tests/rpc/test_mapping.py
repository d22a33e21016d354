"""``map``: one function for many items, so many at a time, in order or as they come."""

import asyncio
import itertools
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from meshcluster import ConfigError, NotExposed, RemoteError
from meshcluster.rpc.mapping import Mapping, Window
from tests.waiting import eventually


def soon(awaitable):
    return asyncio.wait_for(awaitable, 10)


class Work:
    """What runs of it, and how many at once at most."""

    def __init__(self):
        self.begun = []
        self.now = 0
        self.most = 0
        self.cancelled = 0
        self.holds = {}

    async def double(self, x: int) -> int:
        self.begun.append(x)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            if x in self.holds:
                await self.holds[x].wait()
            if x < 0:
                raise ValueError(x)
            return 2 * x
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1


@pytest.fixture
async def work(two):
    made = Work()
    await two.expose(made.double, "double")
    return made


async def test_results_come_in_the_order_of_the_items(two, work):
    assert await two.caller.map("double", range(500)) == [2 * n for n in range(500)]
    assert [each async for each in two.caller.map("double", iter([3, 1, 2]))] == [6, 2, 4]
    assert await two.caller.map("double", []) == []
    assert two.load == [0]


async def test_an_early_one_that_is_slow_holds_up_the_order_and_not_the_work(two, work):
    work.holds[0] = asyncio.Event()
    results = aiter(two.caller.map("double", range(20), in_flight=4))
    first = asyncio.ensure_future(anext(results))
    await eventually(lambda: len(work.begun) == 20)
    assert not first.done()
    work.holds[0].set()
    assert await soon(first) == 0
    assert [each async for each in results] == [2 * n for n in range(1, 20)]


async def test_results_may_come_as_they_are_there(two, work):
    work.holds[0] = asyncio.Event()
    got = []
    async for each in two.caller.map("double", range(20), ordered=False):
        got.append(each)
        if len(got) == 19:
            work.holds[0].set()
    assert got[-1] == 0
    assert sorted(got) == [2 * n for n in range(20)]


@pytest.mark.parametrize("in_flight", [1, 3])
async def test_so_many_are_under_way_at_once(two, work, in_flight):
    assert len(await two.caller.map("double", range(50), in_flight=in_flight)) == 50
    assert work.most <= in_flight
    assert in_flight == 1 or work.most > 1


async def test_of_items_without_end_those_needed_are_taken(two, work):
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield number

    got = []
    mapping = two.caller.map("double", endless(), in_flight=4)
    results = aiter(mapping)
    for _ in range(10):
        got.append(await soon(anext(results)))
    assert got == [2 * n for n in range(10)]
    await results.aclose()
    assert len(taken) <= 10 + 16 * 4
    assert two.load == [0]


async def test_a_slow_first_of_items_without_end_does_not_fill_memory(two, work):
    work.holds[0] = asyncio.Event()
    first = asyncio.ensure_future(
        anext(aiter(two.caller.map("double", itertools.count(), in_flight=2)))
    )
    await eventually(lambda: len(work.begun) == 32)
    await asyncio.sleep(0.05)
    assert len(work.begun) == 32
    work.holds[0].set()
    assert await soon(first) == 0


async def test_the_first_failure_is_raised_and_the_rest_is_cancelled(two, work):
    for number in (2, 3, 4):
        work.holds[number] = asyncio.Event()
    with pytest.raises(RemoteError, match="ValueError: -1"):
        await soon(two.caller.map("double", [1, -1, 2, 3, 4]))
    await eventually(lambda: work.cancelled == 3)
    assert two.load == [0]


async def test_results_before_the_failure_are_given(two, work):
    results, got = aiter(two.caller.map("double", [1, 2, -1, 3])), []
    for _ in range(2):
        got.append(await soon(anext(results)))
    with pytest.raises(RemoteError):
        await soon(anext(results))
    assert got == [2, 4]


async def test_several_failures_are_one_error_and_no_complaint(two, work, caplog):
    with pytest.raises(RemoteError):
        await soon(two.caller.map("double", [-1] * 20))
    assert "never retrieved" not in caplog.text


async def test_who_stops_iterating_cancels_the_rest(two, work):
    work.holds = {n: asyncio.Event() for n in range(1, 5)}
    async for each in two.caller.map("double", range(5)):
        assert each == 0
        break
    await eventually(lambda: work.cancelled == 4)


async def test_cancelled_it_cancels_the_rest(two, work):
    work.holds = {n: asyncio.Event() for n in range(5)}
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(two.caller.map("double", range(5)), 0.1)
    await eventually(lambda: work.cancelled == 5)
    assert two.load == [0]


@pytest.mark.parametrize(("items", "total"), [(range(7), 7), (iter(range(7)), None)])
async def test_progress_is_told_of_each(two, work, items, total):
    told = []
    await two.caller.map("double", items, progress=lambda *done: told.append(done))
    assert told == [(n, total) for n in range(1, 8)]


async def test_progress_that_raises_ends_it(two, work):
    with pytest.raises(ZeroDivisionError):
        await soon(two.caller.map("double", range(5), progress=lambda done, total: 1 / 0))
    assert two.load == [0]


async def test_items_that_raise_end_it(two, work):
    def items():
        yield 1
        raise KeyError("no more")

    with pytest.raises(KeyError):
        await soon(two.caller.map("double", items()))
    assert two.load == [0]


@pytest.mark.parametrize("in_flight", [0, -1, 1.5, None, "2", True])
async def test_in_flight_is_a_number(two, work, in_flight):
    with pytest.raises(ConfigError, match="in_flight="):
        two.caller.map("double", [1], in_flight=in_flight)


async def test_all_members_take_part(join, settled):
    servers = [await join(name=f"s{n}") for n in range(3)]
    for number, server in enumerate(servers):
        server.expose(lambda x, number=number: (number, x), name="f")
    caller = await join()
    await caller.wait_for_exposed("f", 3)
    found = await caller.map("f", range(60))
    assert [x for _, x in found] == list(range(60))
    assert {number for number, _ in found} == {0, 1, 2}
    found = await caller.map("f", range(6), where="s1", returns=tuple[int, int])
    assert {number for number, _ in found} == {1}
    with pytest.raises(NotExposed):
        await caller.map("g", [1])


# --- for threads: calls are futures here, which the tests end themselves --------------------------


class Begun:
    """What was begun: a future of each item, in their order."""

    def __init__(self):
        self.futures = []
        self.refused = None

    def __call__(self, item):
        if item == self.refused:
            raise KeyError(item)
        self.futures.append(Future())
        return self.futures[-1]

    def mapping(self, items, *, in_flight=2, ordered=True, check=lambda: None, timeout=None):
        window = Window(self, items, in_flight, ordered=ordered, progress=None)
        return Mapping(window, check, timeout)

    @property
    def cancelled(self):
        return [future.cancelled() for future in self.futures]


@pytest.fixture
def begun():
    return Begun()


def test_without_being_asked_to_begin_it_waits_for_who_iterates(begun):
    results = begun.mapping(range(5))
    assert begun.futures == []
    results.begun()
    assert len(begun.futures) == 2
    assert iter(results.begun()) is not None
    assert len(begun.futures) == 2


def test_what_has_begun_is_not_begun_again(begun):
    results = begun.mapping(range(3), in_flight=5).begun()
    for number, future in enumerate(begun.futures):
        future.set_result(number)
    assert list(results) == [0, 1, 2]
    assert len(begun.futures) == 3


@pytest.mark.parametrize("ordered", [True, False])
def test_results_that_came_before_anybody_asked_are_given(begun, ordered):
    results = begun.mapping(range(2), ordered=ordered).begun()
    begun.futures[1].set_result("b")
    begun.futures[0].set_result("a")
    assert list(results) == (["a", "b"] if ordered else ["b", "a"])


def test_closed_before_the_first_result_it_gives_up_what_has_begun(begun):
    results = begun.mapping(range(5)).begun()
    results.close()
    results.close()
    assert begun.cancelled == [True, True]
    assert list(results) == []


def test_closed_after_the_first_result_it_gives_up_the_rest(begun):
    results = begun.mapping(range(5)).begun()
    begun.futures[0].set_result(0)
    assert next(results) == 0
    results.close()
    assert begun.cancelled == [False, True]


@pytest.mark.parametrize("place", [0, 1])
def test_what_cannot_be_begun_gives_up_what_was(begun, place):
    begun.refused = place
    results = begun.mapping(range(5))
    with pytest.raises(KeyError):
        results.begun()
    assert begun.cancelled == [True] * place


def test_all_results_must_be_there_in_time(begun):
    results = begun.mapping(range(3), timeout=0.01).begun()
    begun.futures[0].set_result(0)
    assert next(results) == 0
    with pytest.raises(TimeoutError, match="in time"):
        next(results)
    assert begun.cancelled == [False, True, True]


def test_what_is_there_is_given_when_time_is_over(begun):
    results = begun.mapping(range(2), timeout=0).begun()
    for number, future in enumerate(begun.futures):
        future.set_result(number)
    assert list(results) == [0, 1]


def test_in_time_it_waits(begun):
    with ThreadPoolExecutor(2) as threads:
        results = Mapping(
            Window(
                lambda item: threads.submit(pow, item, 2), range(9), 3, ordered=True, progress=None
            ),
            lambda: None,
            timeout=30,
        )
        assert list(results) == [n * n for n in range(9)]


def test_who_must_not_wait_is_refused_when_it_is_made_and_when_it_would_wait(begun):
    here = True

    def check():
        if not here:
            raise RuntimeError("not here")

    results = begun.mapping(range(2), check=check).begun()
    here = False
    with pytest.raises(RuntimeError, match="not here"):
        begun.mapping(range(2), check=check)
    with pytest.raises(RuntimeError, match="not here"):
        next(results)
    assert begun.cancelled == [True, True]

"""``Chunks`` and ``Flat``: how many items of a map are one task, and what becomes of them."""

import itertools
from concurrent.futures import Future

import pytest

from meshcluster.rpc.mapping import Mapping, Window
from meshcluster.ssh.chunks import CHUNK_SECONDS, MOST_ITEMS, Chunks, Flat
from meshcluster.ssh.far import framing
from meshcluster.ssh.future import TaskFuture
from meshcluster.ssh.task import Attempt, Task, Terms


def ended(seconds=0.0, error=None, *, cancelled=False):
    """A task that a worker had for so long."""
    task = Task(1, framing.EACH, b"", (), Terms())
    task.attempts.append(Attempt("here", "lost", seconds=1000.0))
    task.attempts.append(Attempt("here", "done", seconds=seconds))
    future = TaskFuture(task, lambda task: False, lambda: None)
    if cancelled or error is not None:
        future.settle(error)
    else:
        future.set_result(([], None))
    return future


def sizes(chunks, each, count=20):
    """How many items the next chunks have, where each item takes so long."""
    found = []
    for chunk in itertools.islice(chunks, count):
        found.append(len(chunk))
        chunks.learn(len(chunk), ended(each * len(chunk)))
    return found


# --- how many items are one task ----------------------------------------------------------------


def test_of_items_that_take_no_time_each_chunk_has_twice_as_many_up_to_500():
    assert MOST_ITEMS == 500
    found = sizes(Chunks(itertools.count(), None), 1e-9, 12)
    assert found == [1, 2, 4, 8, 16, 32, 64, 128, 256, 500, 500, 500]


def test_a_chunk_takes_four_milliseconds():
    assert CHUNK_SECONDS == 0.004
    assert sizes(Chunks(itertools.count(), None), 0.0001, 20)[-1] in (39, 40)


@pytest.mark.parametrize("seconds", [0.003, 0.004, 0.1, 60.0])
def test_items_that_are_worth_their_way_go_alone(seconds):
    assert set(sizes(Chunks(itertools.count(), None), seconds)) == {1}


def test_when_items_become_slow_chunks_are_as_small_as_they_should_be_at_once():
    chunks = Chunks(itertools.count(), None)
    sizes(chunks, 1e-9)
    assert sizes(chunks, 0.001, 3) == [500, 4, 4]
    assert sizes(chunks, 1.0, 3) == [4, 1, 1]


def test_when_items_become_quick_again_chunks_grow_again_twofold():
    chunks = Chunks(itertools.count(), None)
    sizes(chunks, 1.0)
    assert sizes(chunks, 1e-9, 4) == [1, 2, 4, 8]


def test_no_single_end_makes_the_next_chunk_more_than_twice_as_large_as_any_before():
    chunks = Chunks(itertools.count(), None)
    for _ in range(3):  # three single ones were under way, and end one after the other
        next(iter(chunks))
    chunks.learn(1, ended(1e-9))
    assert len(next(iter(chunks))) == 2


@pytest.mark.parametrize("how", [{"cancelled": True}, {"error": ValueError("no")}])
def test_a_task_without_a_result_teaches_nothing(how):
    chunks = Chunks(itertools.count(), None)
    sizes(chunks, 0.0005, 10)
    before = len(next(iter(chunks)))
    chunks.learn(before, ended(1e-9, **how))
    assert len(next(iter(chunks))) == before == 8


def test_the_last_try_of_a_task_counts_alone():
    chunks = Chunks(itertools.count(), None)
    chunks.learn(1, ended(1e-9))  # which was lost once, after a long time
    assert len(next(iter(chunks))) == 2


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_size_that_is_given_stays(size):
    chunks = Chunks(range(20), size)
    assert not chunks.learns
    assert Chunks([], None).learns
    assert [len(chunk) for chunk in chunks] == [
        min(size, 20 - at) for at in range(0, 20, size)
    ]  # fmt: skip


def test_no_item_is_lost_or_taken_twice():
    chunks, found = Chunks(range(5000), None), []
    for chunk in chunks:
        found += chunk
        chunks.learn(len(chunk), ended(1e-9))
    assert found == list(range(5000))


def test_only_so_many_items_are_taken_as_a_chunk_has():
    items = itertools.count()
    chunks = iter(Chunks(items, 5))
    assert next(chunks) == [0, 1, 2, 3, 4]
    assert next(items) == 5


def test_of_a_chunk_that_is_too_large_the_second_half_comes_next_and_no_item_is_lost():
    chunks, found = Chunks(range(100), None), []
    for chunk in chunks:
        while sum(chunk) > 150 and len(chunk) > 1:
            chunk = chunks.half(chunk)
        found += chunk
        chunks.learn(len(chunk), ended(1e-9))
    assert found == list(range(100))


@pytest.mark.parametrize("size", [5, 6, 500])
def test_of_the_last_chunk_the_second_half_comes_too(size):
    chunks = Chunks(range(5), size)
    assert chunks.half(next(iter(chunks))) == [0, 1]
    assert list(chunks) == [[2, 3], [4]]
    chunks = Chunks(range(5), size)
    assert chunks.half(chunks.half(next(iter(chunks)))) == [0]
    assert list(chunks) == [[1], [2], [3], [4]]


# --- their results --------------------------------------------------------------------------------


class Fails(Exception):
    pass


def flat(*chunks, progress=None, total=None):
    """Of tasks that have ended with these; and all that were begun, of which the last one runs."""
    begun = []

    def begin(chunk):
        future = Future()
        begun.append(future)
        if isinstance(chunk, BaseException):
            future.set_exception(chunk)
        elif chunk is not None:
            future.set_result(chunk)
        return future

    window = Window(begin, chunks, 100, ordered=True, progress=None)
    return Flat(Mapping(window, lambda: None).begun(), progress, total), begun


def test_results_are_given_one_by_one():
    found, _ = flat(([1, 2], None), ([], None), ([3], None))
    assert iter(found) is found
    assert list(found) == [1, 2, 3]
    assert list(found) == []


def test_an_error_is_raised_after_the_results_before_it_and_the_rest_is_cancelled():
    found, begun = flat(([1, 2], None), ([3], Fails("four")), ([5], None), None)
    assert [next(found), next(found), next(found)] == [1, 2, 3]
    assert not begun[-1].done()
    with pytest.raises(Fails, match="four"):
        next(found)
    assert begun[-1].cancelled()
    assert list(found) == []


def test_a_task_that_fails_as_a_whole_is_raised_where_its_results_would_be():
    found, begun = flat(([1], None), Fails("lost"), ([2], None), None)
    assert next(found) == 1
    with pytest.raises(Fails, match="lost"):
        next(found)
    assert begun[-1].cancelled()
    assert list(found) == []


def test_closed_it_gives_nothing_more_not_even_what_is_there_or_what_was_raised():
    for asked in range(3):
        found, begun = flat(([1, 2], Fails("three")), None)
        assert [next(found) for _ in range(asked)] == [1, 2][:asked]
        found.close()
        assert list(found) == []
        assert begun[-1].cancelled()
        found.close()


@pytest.mark.parametrize("total", [5, None])
def test_progress_counts_items_that_are_done_and_not_the_one_that_failed(total):
    told = []
    chunks = ([1, 2], None), ([3], None), ([4], Fails("five"))
    found, _ = flat(*chunks, progress=lambda *at: told.append(at), total=total)
    assert told == []
    with pytest.raises(Fails):
        list(found)
    assert told == [(2, total), (3, total), (4, total)]


def test_what_progress_raises_is_raised():
    found, begun = flat(([1], None), None, progress=lambda done, total: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        next(found)
    found.close()
    assert begun[-1].cancelled()

"""The ways to hand a dispatcher work: by name, by function, many at once, on other terms."""

import functools
import gc
import itertools
import json
import math
import sys
import threading
from functools import partial

import pytest

from meshcluster import (
    ConfigError,
    Congested,
    DispatcherClosed,
    EncodeError,
    MessageTooLarge,
    Server,
    TaskRaised,
)
from meshcluster.ssh.submitting import name_of
from tests.waiting import until

from .errands import Refused
from .here import here


def at_the_top(x):
    return x + 1


class Class:
    def method(self):
        return 1

    @staticmethod
    def static(x):
        return x * 2

    @classmethod
    def of(cls):
        return cls.__name__

    def __call__(self):
        return 1


# --- functions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "args", "result"),
    [
        ("math:sqrt", (9,), 3.0),
        ("os.path:join", ("a", "b"), "a/b"),
        ("errands:Pair.of", (5,), ("Pair", 5)),
        (math.sqrt, (9,), 3.0),
        (divmod, (7, 2), (3, 1)),
        (len, ("abc",), 3),
        (int, ("12",), 12),
        (str.upper, ("abc",), "ABC"),
        (itertools.chain.from_iterable, ([],), None),
    ],
)  # fmt: skip
def test_a_function_is_named_or_given_itself(two, function, args, result):
    if result is None:
        with pytest.raises(EncodeError):
            two.submit(function, *args)
    else:
        assert two.submit(function, *args).result(30) == result


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (at_the_top, f"{__name__}:at_the_top"),
        (Class.static, f"{__name__}:Class.static"),
        (Class, f"{__name__}:Class"),
        (threading.Thread, "threading:Thread"),
        (print, "builtins:print"),
        (math.floor, "math:floor"),
    ],
)
def test_a_function_of_a_module_has_a_name(function, name):
    assert name_of(function) == name


def local():
    def inside():
        return 1

    return inside


def of_main():
    def function():
        return 1

    function.__module__, function.__qualname__ = "__main__", "function"
    return function


def decorated():
    @functools.wraps(at_the_top)
    def other(x):
        return x

    return other


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x, local(), of_main(), decorated(), Class().method, Class.of, Class(),
        functools.partial(at_the_top, 1), [].append, 5, None,
    ],
)  # fmt: skip
def test_a_function_that_a_worker_could_not_find_is_refused_at_once(two, function):
    with pytest.raises(EncodeError, match="a worker could not import it"):
        two.submit(function)
    with pytest.raises(EncodeError):
        two.map(function, [1])
    assert sum(each.running for each in two.servers) == 0


def test_the_error_says_which_function_and_what_to_do(two):
    with pytest.raises(EncodeError, match=r"test_submitting:.*<lambda>.*unsafe_pickle=True"):
        two.submit(lambda: 1)


def test_who_trusts_the_workers_sends_any_function():
    factor = 3

    class Local:
        value = 5

    with here(unsafe_pickle=True, setup=None, callback=None) as dispatcher:
        assert dispatcher.submit(lambda x: factor * x, 4).result(30) == 12
        assert dispatcher.submit(lambda: Local()).result(30).value == 5
        assert list(dispatcher.map(lambda x: x + 1, range(5), chunksize=2)) == [1, 2, 3, 4, 5]
        assert dispatcher.submit("math:sqrt", 9).result(30) == 3.0
        with pytest.raises(EncodeError, match="pickled"):
            dispatcher.submit(threading.Lock())
        with pytest.raises(StopAsyncIteration):
            dispatcher.submit(raise_it, StopAsyncIteration).result(30)
        with pytest.raises(TaskRaised, match="StopIteration"):
            dispatcher.submit(raise_it, StopIteration).result(30)


def raise_it(kind):
    raise kind


# --- map ------------------------------------------------------------------------------------------


def test_results_come_in_the_order_of_the_items(two):
    assert list(two.map("errands:square", range(300))) == [n * n for n in range(300)]
    assert list(two.map("errands:square", [])) == []
    assert list(two.map("errands:echo", iter("abc"))) == ["a", "b", "c"]


def test_items_of_several_iterables_go_side_by_side(two):
    assert list(two.map(pow, [2, 3, 4], [5, 2])) == [32, 9]
    assert list(two.map("operator:add", range(3), itertools.count(10))) == [10, 12, 14]


def test_an_item_that_is_a_tuple_is_one_argument(two):
    assert list(two.map("errands:echo", [(1, 2), (3, 4)])) == [(1, 2), (3, 4)]


def test_results_may_come_as_they_are_there(two, gate):
    begun, opening = gate()

    def items():
        yield "errands:hold", begun, opening
        for _ in range(9):
            yield "errands:echo", 1, 2

    results = two.map("errands:run", items(), ordered=False)
    first = [next(results) for _ in range(9)]
    assert first == [(1, (2,), {})] * 9
    gate.open()
    assert isinstance(next(results), int)
    assert list(results) == []


def test_tasks_begin_before_anybody_asks_for_a_result(two, tmp_path):
    results = two.map("errands:note", [str(tmp_path / "notes")])
    until((tmp_path / "notes").exists)
    assert list(results) == [None]


def test_of_items_without_end_those_needed_are_taken(two):
    taken = itertools.count()
    results = two.map("errands:square", taken, in_flight=4)
    assert [next(results) for _ in range(10)] == [n * n for n in range(10)]
    results.close()
    assert next(taken) <= 10 + 16 * 4 + 1


@pytest.mark.parametrize("many", ["in_flight", "buffersize"])
def test_so_many_are_open_at_once(gate, many):
    with here(slots=4) as dispatcher:
        files = [gate(str(n)) for n in range(6)]
        results = dispatcher.map("errands:hold", *zip(*files, strict=True), **{many: 2})
        until(lambda: gate.begun == 2)
        assert sum(each.running for each in dispatcher.servers) == 2
        gate.open()
        assert len(list(results)) == 6


def test_the_first_error_is_raised_and_the_rest_is_cancelled(gate, tmp_path):
    with here(slots=2) as dispatcher:
        held = [("errands:hold", *gate(str(n))) for n in range(3)]
        results = dispatcher.map("errands:run", [("errands:square", -1), *held])
        with pytest.raises(ValueError, match="less than 0"):
            next(results)
        with pytest.raises(StopIteration):
            next(results)
        assert dispatcher.submit("errands:echo", 1).result(30) == 1
        until(lambda: sum(each.running for each in dispatcher.servers) == 0)


def test_results_before_the_error_are_given(two):
    results = two.map("errands:square", [1, 2, -1, 3])
    assert [next(results), next(results)] == [1, 4]
    with pytest.raises(ValueError, match="less than 0"):
        next(results)


def test_closed_it_gives_up_the_rest_even_before_the_first_result(gate):
    for ask_first in (True, False):
        with here() as dispatcher:
            held = ("errands:hold", *gate(f"{ask_first}"))
            results = dispatcher.map("errands:run", [("errands:echo", 1), held, held])
            if ask_first:
                assert next(results) == 1
            gate.reached(f"{ask_first}")
            results.close()
            until(lambda: sum(each.running for each in dispatcher.servers) == 0)
            assert dispatcher.submit("errands:echo", 1).result(30) == 1
            assert list(results) == []


def test_an_iterator_may_become_garbage_while_the_dispatchers_lock_is_held(gate):
    with here() as dispatcher:
        results = dispatcher.map("errands:run", [("errands:echo", 1), ("errands:hold", *gate())])
        assert next(results) == 1
        gate.reached()
        cycle = [results]
        cycle.append(cycle)
        del results

        def collected(pool, now):
            cycle.clear()
            gc.collect()

        thread = threading.Thread(target=dispatcher._engine.act, args=(collected,), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


@pytest.mark.parametrize(
    ("items", "error"), [([1, object()], EncodeError), (None, ZeroDivisionError)]
)
def test_items_that_cannot_be_begun_give_up_those_that_were(gate, items, error):
    def failing():
        yield gate()[0]
        1 / 0  # noqa: B018

    with here() as dispatcher:
        firsts = [gate()[0], object()] if items else failing()
        with pytest.raises(error):
            dispatcher.map("errands:hold", firsts, itertools.repeat(gate()[1]))
        until(lambda: sum(each.running for each in dispatcher.servers) == 0)
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


def test_all_results_must_be_there_in_time(two, gate):
    files = [gate(str(n)) for n in range(3)]
    results = two.map("errands:hold", *zip(*files, strict=True), timeout=0.1)
    with pytest.raises(TimeoutError):
        list(results)
    until(lambda: sum(each.running for each in two.servers) == 0)


def test_what_is_there_in_time_is_given(two):
    assert list(two.map("errands:square", range(5), timeout=30)) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize(("items", "total"), [(range(5), 5), (iter(range(5)), None)])
def test_progress_is_told_of_each_that_is_a_task(two, items, total):
    told = []
    found = two.map("errands:square", items, chunksize=1, progress=lambda *at: told.append(at))
    assert len(list(found)) == 5
    assert told == [(n, total) for n in range(1, 6)]


@pytest.mark.parametrize("chunksize", [None, 2])
@pytest.mark.parametrize(
    ("items", "total"),
    [
        (lambda: [range(5)], 5),
        (lambda: [iter(range(5))], None),
        (lambda: [range(5), range(7)], 5),
        (lambda: [range(5), itertools.count()], None),
        (lambda: [itertools.count(), [1] * 5], None),
    ],
)
def test_progress_counts_items_and_knows_the_total_where_all_have_a_length(
    two, items, total, chunksize
):
    told = []
    found = two.map(
        "errands:echo", *items(), chunksize=chunksize, progress=lambda *at: told.append(at)
    )
    assert len(list(found)) == 5
    done = [each[0] for each in told]
    assert done == sorted(set(done))
    assert done[-1] == 5
    assert {each[1] for each in told} == {total}
    if chunksize:
        assert done == [2, 4, 5]


@pytest.mark.parametrize("chunksize", [1, 3, 10, 1000])
def test_several_items_may_be_one_task(two, chunksize):
    found = two.map("errands:square", range(10), chunksize=chunksize)
    assert list(found) == [n * n for n in range(10)]
    found = two.map("operator:add", range(10), itertools.count(5), chunksize=chunksize)
    assert list(found) == [n + n + 5 for n in range(10)]
    assert list(two.map("errands:square", [], chunksize=chunksize)) == []
    before = two.submit("errands:echo").number
    list(two.map("errands:square", range(30), chunksize=chunksize))
    assert two.submit("errands:echo").number - before - 1 == -(-30 // chunksize)


def test_results_of_several_in_one_task_are_given_as_they_come(two):
    found = two.map("errands:square", range(30), chunksize=4, ordered=False)
    assert sorted(found) == [n * n for n in range(30)]


def test_of_items_without_end_those_needed_are_taken_several_in_a_task(two):
    taken = itertools.count()
    results = two.map("errands:square", taken, in_flight=2, chunksize=5)
    assert [next(results) for _ in range(12)] == [n * n for n in range(12)]
    results.close()
    assert list(results) == []
    assert next(taken) <= 5 * (12 + 16 * 2)


def test_an_error_of_one_of_several_is_that_tasks(two):
    with pytest.raises(ValueError, match="less than 0"):
        list(two.map("errands:square", [1, 2, -1, 4], chunksize=2))


def test_several_in_one_task_are_given_up_before_the_first_result_too(gate):
    with here() as dispatcher:
        held = ("errands:hold", *gate())
        results = dispatcher.map("errands:run", [held] * 6, chunksize=2)
        gate.reached()
        results.close()
        until(lambda: sum(each.running for each in dispatcher.servers) == 0)
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


@pytest.mark.parametrize("chunksize", [0, -1, 1.5, "2", True])
def test_a_chunksize_is_a_number(two, chunksize):
    with pytest.raises(ConfigError, match="chunksize="):
        two.map("errands:square", range(10), chunksize=chunksize)


@pytest.mark.parametrize("many", ["in_flight", "buffersize"])
def test_what_is_open_at_once_is_a_number(two, many):
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(ConfigError, match=f"^{many}={wrong!r}: a number of 1 or more"):
            two.map("errands:square", range(10), **{many: wrong})


def test_without_items_there_is_nothing_to_do(two):
    assert list(two.map("errands:square")) == []
    assert list(two.map("errands:square", chunksize=3)) == []


def test_more_items_than_may_be_open_wait_for_room():
    with here(max_open=3) as dispatcher:
        assert len(list(dispatcher.map("errands:square", range(50)))) == 50


def test_more_items_than_may_be_open_are_refused_if_asked_for_and_nothing_stays(gate):
    with here(max_open=3, congestion="error") as dispatcher:
        files = [gate(str(n)) for n in range(6)]
        with pytest.raises(Congested):
            dispatcher.map("errands:hold", *zip(*files, strict=True))
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


def test_an_iterator_that_nobody_asks_is_no_hindrance_to_closing(gate):
    with here() as dispatcher:
        dispatcher.map("errands:echo", range(10))
        dispatcher.close()
        with pytest.raises(DispatcherClosed):
            dispatcher.map("errands:echo", range(10))


# --- so many items in a task as are worth its way ---------------------------------------------


def tasks_of(dispatcher, work):
    """How many tasks that took."""
    before = dispatcher.submit("errands:echo").number
    work()
    return dispatcher.submit("errands:echo").number - before - 1


def test_quick_items_are_several_in_a_task_in_their_order(two):
    found = []
    assert tasks_of(two, lambda: found.extend(two.map("errands:square", range(20_000)))) < 5000
    assert found == [n * n for n in range(20_000)]


def test_slow_items_are_a_task_each(two):
    items = [0.006] * 20
    assert tasks_of(two, lambda: list(two.map("time:sleep", items))) == 20


def test_several_iterables_are_taken_side_by_side_as_far_as_the_shortest_goes(two):
    found = two.map("operator:add", range(5000), itertools.count(5))
    assert list(found) == [n + n + 5 for n in range(5000)]


def test_an_error_in_the_middle_comes_after_all_results_before_it(two):
    items = [*range(1, 3000), -1, *range(5000)]
    results = two.map("errands:square", items)
    found = []
    with pytest.raises(ValueError, match="-1 is less than 0") as caught:
        found.extend(iter(lambda: next(results), None))
    assert found[-1] == 2999**2
    assert found == [n * n for n in range(1, 3000)]
    assert "in square" in str(caught.value.__cause__)
    assert list(results) == []
    until(lambda: sum(each.running for each in two.servers) == 0)


def test_registered_exceptions_come_from_the_middle_of_many_as_they_are(two):
    orders = [("errands:echo", 1)] * 500 + [("errands:wrong", "Refused", "not so", 7)]
    with pytest.raises(Refused, match="not so") as caught:
        list(two.map("errands:run", orders))
    assert caught.value.code == 7
    orders[-1] = ("errands:wrong", "Unknown", "what")
    with pytest.raises(TaskRaised, match=r"errands\.Unknown: what"):
        list(two.map("errands:run", orders))


def test_of_items_without_end_only_so_many_are_taken_as_may_be_open(two):
    taken = itertools.count()
    results = two.map("errands:square", taken)
    assert [next(results) for _ in range(3000)] == [n * n for n in range(3000)]
    results.close()
    assert next(taken) <= 3000 + 500 * 16 * 256
    assert list(results) == []
    until(lambda: sum(each.running for each in two.servers) == 0)


def test_items_that_are_too_large_together_are_sent_apart():
    sizes = [1] * 500 + [400] * 50 + [900] * 5 + [1] * 500 + [300] * 7
    with here(body_bytes=1000, setup=None) as dispatcher:
        assert list(dispatcher.map("builtins:len", map(bytes, sizes))) == sizes
        with pytest.raises(MessageTooLarge):
            list(dispatcher.map("builtins:len", map(bytes, [1] * 100 + [2000])))


def test_results_that_are_too_large_together_come_in_parts():
    with here(slots=2, body_bytes=5000) as dispatcher:
        sizes = [1] * 600 + [500] * 200
        made = list(dispatcher.map("builtins:bytes", sizes))
        assert [len(each) for each in made] == sizes
        made = list(dispatcher.map("builtins:bytes", [2000] * 20, chunksize=20))
        assert [len(each) for each in made] == [2000] * 20


def test_unordered_each_result_is_given_once(two):
    found = two.map("errands:square", range(5000), ordered=False)
    assert sorted(found) == [n * n for n in range(5000)]


@pytest.mark.parametrize("ordered", [True, False])
def test_of_a_worker_that_is_killed_in_the_middle_every_result_comes_once(ordered, tmp_path):
    file = str(tmp_path / "died")
    orders = [("errands:echo", n) for n in range(3000)]
    orders[1500] = ("errands:dies_first", file)
    with here(slots=2) as dispatcher:
        found = list(dispatcher.map("errands:run", orders, ordered=ordered))
    wanted = [*range(1500), "in the end", *range(1501, 3000)]
    assert found == wanted if ordered else sorted(found, key=str) == sorted(wanted, key=str)


@pytest.mark.parametrize("terms", [{"timeout": 20}, {"retry_on": ValueError}])
def test_what_is_asked_for_of_each_item_has_each_a_task(two, terms):
    other = two.options(**terms)
    assert tasks_of(two, lambda: list(other.map("errands:square", range(50)))) == 50
    back = other.options(timeout=None, retry_on=())
    assert tasks_of(two, lambda: list(back.map("errands:square", range(5000)))) < 2000
    chunks = lambda: list(other.map("errands:square", range(50), chunksize=10))  # noqa: E731
    assert tasks_of(two, chunks) == 5, "unless a size is asked for as well"


def test_who_says_how_many_are_open_has_each_item_a_task(two):
    for many in ("in_flight", "buffersize"):
        work = partial(two.map, "errands:square", range(50), **{many: 8})
        assert tasks_of(two, lambda work=work: list(work())) == 50


def test_a_retried_item_is_tried_again_by_itself(two, tmp_path):
    other = two.options(retry_on=ValueError)
    orders = [("errands:note", str(tmp_path / "notes"), n) for n in range(5)]
    orders.insert(3, ("errands:fails_first", str(tmp_path / "failed")))
    assert list(other.map("errands:run", orders)) == [0, 1, 2, "in the end", 3, 4]
    assert sorted((tmp_path / "notes").read_text().split()) == list("01234")


class Other:
    """A serializer of one's own: its workers need not know what several in a task are."""

    name = "json"
    loads = staticmethod(json.loads)

    @staticmethod
    def dumps(value):
        return json.dumps(value).encode()


JSON_WORKER = """
import json, meshcluster
class Other:
    name, loads = "json", staticmethod(json.loads)
    dumps = staticmethod(lambda value: json.dumps(value).encode())
meshcluster.work(serializer=Other())
"""


@pytest.mark.parametrize("chunksize", [None, 10])
def test_workers_with_a_serializer_of_their_own_get_each_item_alone(chunksize):
    command = Server(command=[sys.executable, "-c", JSON_WORKER])
    with here(command, serializer=Other(), setup=None, callback=None) as dispatcher:
        work = partial(dispatcher.map, "math:factorial", range(30), chunksize=chunksize)
        assert tasks_of(dispatcher, lambda: list(work())) == 30
        assert list(work()) == [math.factorial(n) for n in range(30)]


@pytest.mark.parametrize("chunksize", [None, 10])
def test_members_get_each_item_alone(join, dispatch, chunksize):
    one, desk = join("compute"), join(name="desk")
    calls = []
    one.expose(lambda number: calls.append(number) or number * number, name="square")
    one.expose(lambda: None, name="echo")
    desk.wait_for_exposed("square", 1)
    dispatcher = dispatch(desk.live("compute"))
    work = partial(dispatcher.map, "square", range(30), chunksize=chunksize)
    before = dispatcher.submit("echo").number
    assert list(work()) == [n * n for n in range(30)]
    assert dispatcher.submit("echo").number - before == 31
    assert sorted(calls) == list(range(30))


# --- other terms ------------------------------------------------------------------------------


def test_other_terms_are_of_what_is_submitted_by_them_alone(two, gate):
    quick = two.options(timeout=0.1)
    with pytest.raises(TimeoutError):
        quick.submit("time:sleep", 30).result(30)
    assert two.submit("time:sleep", 0.2).result(30) is None


def test_a_limit_may_be_taken_away_again():
    with here(timeout=0.1) as dispatcher:
        with pytest.raises(TimeoutError):
            dispatcher.submit("time:sleep", 30).result(30)
        assert dispatcher.options(timeout=None).submit("time:sleep", 0.3).result(30) is None
        with pytest.raises(TimeoutError):
            dispatcher.options(attempts=1).submit("time:sleep", 30).result(30)


def test_other_terms_add_up(two, tmp_path):
    both = two.options(retry_on=ValueError).options(attempts=2)
    assert both.submit("errands:fails_first", str(tmp_path / "one")).result(30) == "in the end"
    with pytest.raises(ValueError, match="no"):
        both.submit("errands:wrong", "ValueError", "no").result(30)


def test_all_ways_of_submitting_have_other_terms(two):
    other = two.options(timeout=20, attempts=1, priority=2)
    assert other(1).result(30) == ("called", 1)
    assert list(other.map("errands:square", [2])) == [4]
    assert other.submit(math.sqrt, 9).result(30) == 3.0
    with pytest.raises(EncodeError):
        other.submit(lambda: 1)


def test_an_argument_may_have_any_name(two):
    found = two.submit("errands:echo", 0, function=1, self=2, timeout=3, attempts=4).result(30)
    assert found == (0, (), {"function": 1, "self": 2, "timeout": 3, "attempts": 4})

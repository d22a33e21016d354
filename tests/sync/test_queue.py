"""``Queue``: what ``AsyncQueue`` promises, for blocking code, many threads and several members."""

import queue as plain
import threading
from collections import Counter
from concurrent.futures import CancelledError
from functools import partial

import pytest

from meshcluster import Cluster
from meshcluster.errors import (
    ClusterError,
    ConfigError,
    DeadLetter,
    DecodeError,
    NotJoined,
    QueueClosed,
    QueueFull,
    QueueMismatch,
    Undelivered,
)
from tests.waiting import until


@pytest.fixture
def three(join):
    members = [join(name) for name in ("one", "two", "three")]
    for member in members:
        member.wait_for_services(2)
    return members


class Begun:
    """Functions in threads of their own, and what came of them."""

    def __init__(self, *functions):
        self._results = [None] * len(functions)
        self._threads = [
            threading.Thread(target=self._run, args=each) for each in enumerate(functions)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, index, function):
        try:
            self._results[index] = function()
        except Exception as error:
            self._results[index] = error

    def end(self):
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads)
        return self._results


def takers(queues):
    return Begun(*[partial(list, queue) for queue in queues])


def test_each_item_goes_to_one_of_several_and_the_queue_ends_by_itself(three):
    one, *others = three
    taking = takers([other.queue("q") for other in others])
    with one.queue("q") as queue:
        queue.wait_ready(2)
        for number in range(500):
            queue.put(number)
    got = taking.end()
    assert sorted(got[0] + got[1]) == list(range(500))
    assert all(each == sorted(each) for each in got)
    assert (queue.pending, queue.duplicates, queue.over) == (0, 0, True)
    assert repr(queue) == "<Queue q: 0 of ours are not done>"


def test_round_robin_gives_to_each_in_turn_in_the_order_in_which_they_came(three):
    one, *others = three
    queue, taking = one.queue("q", policy="round_robin"), []
    for count, other in enumerate(others, 1):
        taking.append(takers([other.queue("q", policy="round_robin")]))
        queue.wait_ready(count)
    for number in range(30):
        queue.put(number)
    queue.close(20)
    assert [each.end()[0] for each in taking] == [[*range(0, 30, 2)], [*range(1, 30, 2)]]


def test_many_threads_put_and_many_threads_take_at_several_members(three):
    one, two, three = three
    queues = [one.queue("q", bound=50), two.queue("q", bound=50)]
    taking_queue = three.queue("q")
    taking = takers([taking_queue] * 4)
    for queue in queues:
        queue.wait_ready()

    def put(queue, thread):
        for number in range(250):
            queue.put((queue is queues[0], thread, number))

    Begun(*[partial(put, queue, thread) for queue in queues for thread in range(3)]).end()
    for queue in queues:
        queue.close(20)
    got = [item for each in taking.end() for item in each]
    assert Counter(got) == Counter(
        (first, thread, number)
        for first in (True, False) for thread in range(3) for number in range(250)
    )  # fmt: skip
    assert [queue.duplicates for queue in queues] == [0, 0]


def test_items_of_a_key_stay_in_order_when_consumers_come_and_go(three):
    one, two, three = three
    queue = one.queue("q", mode="key", bound=2000)
    got, some = [], threading.Event()

    def take(cluster, most):
        mine = cluster.queue("q", mode="key", prefetch=3)
        for taken in mine.deliveries():
            got.append(taken.item)
            taken.done()
            if len(got) > 20:
                some.set()
            if len(got) >= most:
                break

    first = Begun(partial(take, two, 300))
    for number in range(100):
        for key in "abcde":
            queue.put((key, number), key=key)
    assert some.wait(10)
    other = Begun(partial(take, three, 10_000))
    queue.close(20)
    first.end()
    other.end()
    for key in "abcde":
        assert [number for k, number in got if k == key] == list(range(100))


def test_there_is_room_for_so_many_items_that_are_not_done(three):
    one, two, _ = three
    queue = one.queue("q", bound=2)
    queue.put(0)
    queue.put(1)
    with pytest.raises(QueueFull, match="2 items are not done"):
        queue.put(2, timeout=0.02)
    with pytest.raises(QueueFull):
        queue.submit(2, timeout=0)
    waiting = Begun(lambda: queue.put(2), lambda: queue.put(3))
    taking = takers([two.queue("q")])
    waiting.end()
    queue.close(10)
    assert sorted(taking.end()[0]) == [0, 1, 2, 3]


def test_a_put_that_waits_for_room_is_refused_when_the_queue_is_closed(three):
    queue = three[0].queue("q", bound=1)
    queue.put(0)
    waiting = Begun(lambda: queue.put(1))
    until(lambda: queue._bell._waiting)
    queue.close()
    (error,) = waiting.end()
    assert type(error) is QueueClosed


@pytest.mark.parametrize("error", [None, ValueError("in the body")])
def test_a_loop_that_is_left_gives_back_what_it_had(three, error):
    one, two, three = three
    queue = one.queue("q")
    for number in range(6):
        queue.put(number)

    def leave():
        for item in two.queue("q", prefetch=3):
            if item == 1 and error is not None:
                raise error
            if item == 1:
                break

    if error is None:
        leave()
    else:
        with pytest.raises(ValueError, match="in the body"):
            leave()
    until(lambda: queue.consumers == ())
    flags = {}
    closing = Begun(lambda: queue.close(20))
    for taken in three.queue("q").deliveries():
        flags[taken.item] = taken.deliveries
        taken.done()
    closing.end()
    assert flags == {1: 1, 2: 0, 3: 0, 4: 0, 5: 0}


def test_one_member_may_take_what_it_left_again(three):
    one, two, _ = three
    queue = one.queue("q")
    for number in range(6):
        queue.put(number)
    mine = two.queue("q", prefetch=4)
    got = []
    for _ in range(3):
        for item in mine:
            got.append(item)
            if len(got) % 2 == 0:
                break
    rest = takers([mine])
    queue.close(10)
    assert {*got, *rest.end()[0]} == set(range(6))


def test_an_item_that_so_many_reject_is_a_dead_letter(three):
    one, two, three = three
    queue = one.queue("q", max_deliveries=2)
    calls = plain.Queue()

    def work(item):
        calls.put(item)
        return 1 // item

    serving = Begun(*[partial(member.queue("q").serve, work) for member in (two, three)])
    bad, good = queue.submit(0), queue.submit(1)
    assert good.result(10) == 1
    with pytest.raises(DeadLetter, match="2 consumers failed with 0") as caught:
        bad.result(10)
    assert (caught.value.item, queue.dead_letters, queue.pending) == (0, [0], 0)
    queue.close(10)
    serving.end()
    assert Counter(calls.get() for _ in range(3)) == {0: 2, 1: 1}
    assert calls.empty()


def test_a_result_that_cannot_be_sent_is_a_failure_of_that_item_alone(three):
    one, two, _ = three
    queue = one.queue("q", max_deliveries=2)
    serving = Begun(lambda: two.queue("q").serve(lambda item: item or object()))
    bad, good = queue.submit(0), queue.submit(1)
    assert good.result(10) == 1
    with pytest.raises(DeadLetter):
        bad.result(10)
    queue.close(10)
    assert serving.end() == [None]


def test_items_of_a_member_that_left_go_to_others_flagged(three):
    one, two, three = three
    queue = one.queue("q")
    for number in range(5):
        queue.put(number)
    mine = two.queue("q", prefetch=3)
    taken = [mine.get(10) for _ in range(3)]
    two.leave()
    assert mine.get() is None
    taken[0].done()
    flags = {}
    closing = Begun(lambda: queue.close(20))
    for each in three.queue("q").deliveries():
        flags[each.item] = each.redelivered
        each.done()
    closing.end()
    assert flags == {0: True, 1: True, 2: True, 3: False, 4: False}


def test_map_gives_what_came_of_each_item_in_order_or_as_they_come(three):
    one, *others = three
    queue, seen = one.queue("q", bound=16), []
    serving = Begun(*[partial(other.queue("q").serve, str) for other in others])
    mapping = queue.map(range(300), progress=lambda done, of: seen.append((done, of)))
    assert list(mapping) == [str(number) for number in range(300)]
    assert seen == [(number, 300) for number in range(1, 301)]
    assert sorted(queue.map(iter(range(30)), ordered=False), key=int) == [*map(str, range(30))]
    part = queue.map(range(1000))
    assert next(part) == "0"
    part.close()
    assert list(queue.map([])) == []
    queue.close(10)
    serving.end()
    with pytest.raises(QueueClosed):
        queue.map([1])


@pytest.mark.parametrize("ordered", [True, False])
def test_a_mapping_waits_for_its_reader_and_goes_on(three, ordered):
    one, two, _ = three
    queue = one.queue("q", bound=3)
    serving = Begun(lambda: two.queue("q").serve(lambda item: item))
    got = []
    for result in queue.map(range(30), ordered=ordered):
        until(lambda: queue.pending == 0)
        got.append(result)
    assert got == list(range(30))
    queue.close(10)
    serving.end()


def test_a_mapping_of_a_queue_that_is_closed_meanwhile_ends(three):
    one, two, _ = three
    queue = one.queue("q", bound=2)
    serving = Begun(lambda: two.queue("q").serve(lambda item: item))
    mapping = queue.map(range(100))
    assert next(mapping) == 0
    queue.close(10)
    with pytest.raises(QueueClosed):
        list(mapping)
    serving.end()


@pytest.mark.parametrize("result", [None, False, "text", (1, {2: b"3"}), [None], 1 << 70])
def test_results_of_any_type_come_back(three, result):
    one, two, _ = three
    with one.queue("q") as queue:
        future = queue.submit("x")
        serving = Begun(lambda: two.queue("q").serve(lambda item: result))
        assert future.result(10) == result
    serving.end()


def test_a_future_that_is_cancelled_changes_nothing_for_the_item(three):
    one, two, _ = three
    queue = one.queue("q")
    future = queue.submit("x")
    assert future.cancel()
    taking = takers([two.queue("q")])
    queue.close(10)
    assert taking.end() == [["x"]]
    with pytest.raises(CancelledError):
        future.result(10)


def test_many_threads_get_from_one_queue(three):
    one, two, _ = three
    queue, mine = one.queue("q"), two.queue("q")
    for number in range(8):
        queue.put(number)

    def get():
        taken = mine.get(10)
        taken.done()
        return taken.item

    assert sorted(Begun(*[get] * 8).end()) == list(range(8))
    assert mine._readers == 1
    queue.close(10)
    assert mine.get(10) is None


def test_several_threads_work_at_once_without_being_asked_how_many(three):
    one, two, _ = three
    queue, mine = one.queue("q"), two.queue("q")
    at_once = threading.Barrier(4)  # nobody is done before four are at work
    begun = Begun(*[lambda: mine.serve(lambda item: at_once.wait(10))] * 4)
    for number in range(8):
        queue.put(number)
    queue.close(20)
    begun.end()
    assert queue.pending == 0


def test_what_is_taken_and_not_done_keeps_nobody_from_getting_more(three):
    one, two, _ = three
    queue, mine = one.queue("q"), two.queue("q")
    for number in range(3):
        queue.put(number)
    taken = [mine.get(10) for _ in range(3)]
    assert [each.item for each in taken] == [0, 1, 2]
    for each in taken:
        each.done()
    queue.close(10)


def test_waiting_has_an_end(three):
    one, two, _ = three
    queue = one.queue("q")
    with pytest.raises(TimeoutError, match=r"0 of 2 consumers of 'q' after 0\.02 s"):
        queue.wait_ready(2, timeout=0.02)
    with pytest.raises(TimeoutError, match=r"nothing came for 0\.02 s"):
        two.queue("other").get(0.02)
    queue.join()
    queue.put("a")
    with pytest.raises(Undelivered) as caught:
        queue.join(0.02)
    assert caught.value.items == ("a",)
    joining = Begun(queue.join)
    two.queue("q").get(10).done()
    until(lambda: queue.pending or two._cluster.queues.consuming["q"].flush_all() is None)
    two._cluster.queues.consuming["q"].flush_all()
    assert joining.end() == [None]


def test_close_gives_up_what_is_not_done_in_time_and_names_it(three):
    queue = three[0].queue("q")
    futures = [queue.submit(number) for number in range(3)]
    with pytest.raises(Undelivered, match="3 items are not done") as caught:
        queue.close(0.02)
    assert caught.value.items == (0, 1, 2)
    assert [type(future.exception(10)) for future in futures] == [Undelivered] * 3
    assert queue.over
    queue.close(0)


def test_with_does_not_wait_where_something_was_raised(three):
    queue = three[0].queue("q")

    def fail():
        with queue:
            queue.put(1)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        fail()
    with pytest.raises(QueueClosed):
        queue.put(2)


def test_leaving_ends_all_that_waits(three):
    one, _, _ = three
    queue = one.queue("q", bound=1)
    future = queue.submit(1)
    waiting = Begun(lambda: queue.put(2), queue.join, lambda: list(one.queue("r")))
    until(lambda: len(queue._bell._waiting) == 2)
    one.leave()
    with pytest.raises(Undelivered):
        future.result(10)
    put, joined, taken = waiting.end()
    assert (type(put), taken) == (QueueClosed, [])
    assert joined is None
    with pytest.raises((QueueClosed, NotJoined)):
        queue.put(3)
    with pytest.raises(NotJoined):
        Cluster().queue("q").put(1)


def test_who_means_another_queue_is_refused(three):
    one, two, _ = three
    queue = one.queue("q", type=int)
    queue.put(1)
    with pytest.raises(QueueMismatch, match="items are int here, str there"):
        two.queue("q", type=str).get(10)
    assert [why for _, why in queue.refused] == ["items are int here, str there"]
    with pytest.raises(ConfigError):
        one.queue("q")
    with pytest.raises(TypeError):
        queue.put("text")


def test_an_item_that_cannot_be_read_is_given_back(three):
    one, two, three = three
    queue = one.queue("q", codecs=[(lambda data: data[::-1],) * 2])
    queue.put(["x"])
    wrong = two.queue("q")
    with pytest.raises(DecodeError, match="same codecs"):
        wrong.get(10)
    wrong.close()
    taken = three.queue("q", codecs=[(lambda data: data[::-1],) * 2]).get(10)
    assert (taken.item, taken.deliveries) == (["x"], 1)


@pytest.mark.parametrize("wait", ["get", "join", "wait_ready", "close", "put", "map"])
def test_a_blocking_call_inside_the_member_is_refused_and_all_goes_on(pair, wait):
    one, other = pair
    queue = other.queue("q", bound=1)
    queue.put(1)
    calls = {
        "get": lambda: other.queue("r").get(5),
        "join": lambda: queue.join(5),
        "wait_ready": lambda: queue.wait_ready(timeout=5),
        "close": lambda: queue.close(5),
        "put": lambda: queue.put(2, timeout=5),
        "map": lambda: list(queue.map([1])),
    }
    refused = plain.Queue()

    def call(letter):
        try:
            calls[wait]()
        except Exception as error:
            refused.put(error)

    other.mailbox("waits", call)
    box = one.mailbox("waits")
    (service,) = box.wait_for_services()
    box.send(service, "go")
    error = refused.get(timeout=10)
    assert type(error) is ClusterError
    assert "wait for itself" in str(error)
    assert one.queue("q").get(10).item == 1


def test_both_faces_talk_to_each_other_in_one_queue(three, beacon_port):
    import asyncio

    from meshcluster import AsyncCluster

    one, _, _ = three
    queue = one.queue("q", type=int)

    async def serve():
        async with AsyncCluster().join(name="async", port=beacon_port) as cluster:
            await cluster.queue("q", type=int).serve(lambda item: item + 1)

    serving = Begun(lambda: asyncio.run(serve()))
    assert list(queue.map(range(50))) == list(range(1, 51))
    queue.close(10)
    serving.end()

"""Who gets what: nothing is lost or given twice, nobody gets more than it asked for."""

from collections import Counter, deque

import pytest

from meshcluster.model import Identity, Service
from meshcluster.queues import outlets as outlets_module
from meshcluster.queues.letters import ALL, KEY, ONE, READY, ROUND_ROBIN
from meshcluster.queues.outlets import Item, Outlets, chosen_for
from meshcluster.queues.settings import BATCH_BYTES, MAX_BATCH


def service(number):
    return Service(Identity(number.to_bytes(16, "big"), 1, f"s{number}", "host"))


def made(mode=ONE, policy=READY, count=2, credit=10, batch_bytes=BATCH_BYTES):
    outlets = Outlets(mode, policy, batch_bytes)
    return outlets, [outlets.add(service(number), credit, 0.0) for number in range(1, count + 1)]


def queue(outlets, numbers, data=b"", key=str):
    outlets.queued.extend(Item(number, data, key(number)) for number in numbers)


def dealt(outlets):
    """The numbers that each got, by name."""
    got = {}
    for outlet, first, items in outlets.deal():
        assert [outlet.held[first + index] for index in range(len(items))] == items
        got.setdefault(outlet.service.name, []).extend(item.number for item in items)
    return got


def finish(outlets, outlet):
    """All that it has in hand is done."""
    for number in list(outlet.held):
        outlets.left(outlet.release(number))


def test_what_is_queued_is_kept_while_nobody_is_there():
    outlets, _ = made(count=0)
    queue(outlets, range(3))
    assert outlets.deal() == []
    outlets.add(service(1), 5, 0.0)
    assert dealt(outlets) == {"s1": [0, 1, 2]}


def test_ready_gives_to_who_has_room_evenly_and_no_more_than_that():
    outlets, (one, other) = made(credit=4)
    queue(outlets, range(20))
    got = dealt(outlets)
    assert sorted(map(len, got.values())) == [4, 4]
    assert sorted([*got["s1"], *got["s2"]]) == list(range(8))
    assert dealt(outlets) == {}
    finish(outlets, one)
    assert dealt(outlets) == {"s1": [8, 9, 10, 11]}
    assert len(other.held) == 4


def test_few_items_are_spread_over_many():
    outlets, _ = made(count=4)
    queue(outlets, range(3))
    assert sorted(map(len, dealt(outlets).values())) == [1, 1, 1]


def test_round_robin_is_strict_however_slow_one_is():
    outlets, (one, other, _) = made(policy=ROUND_ROBIN, count=3, credit=2)
    queue(outlets, range(12))
    assert dealt(outlets) == {"s1": [0, 3], "s2": [1, 4], "s3": [2, 5]}
    finish(outlets, other)
    assert dealt(outlets) == {"s2": [7, 10]}
    finish(outlets, one)
    assert dealt(outlets) == {"s1": [6, 9]}


def test_round_robin_begins_with_the_first_after_a_reset():
    outlets, _ = made(policy=ROUND_ROBIN, count=3)
    queue(outlets, [0])
    dealt(outlets)
    outlets.reset_turn()
    queue(outlets, [1, 2])
    assert dealt(outlets) == {"s1": [1], "s2": [2]}


def test_all_gives_each_consumer_its_own_place_of_an_item():
    outlets, _ = made(ALL, count=3)
    queue(outlets, range(2))
    whole = outlets.queued[0]
    assert dealt(outlets) == {"s1": [0, 1], "s2": [0, 1], "s3": [0, 1]}
    assert whole.places == 3
    outlets.add(service(9), 5, 0.0)
    assert dealt(outlets) == {}


def test_all_gives_what_failed_to_the_same_one_again():
    outlets, (one, other) = made(ALL)
    queue(outlets, [0])
    dealt(outlets)
    outlets.returned.append(one.release(1))
    assert dealt(outlets) == {"s1": [0]}
    outlets.returned.append(one.release(2))
    held, gone = outlets.remove(one.service.key)
    assert (held, len(gone), len(outlets.returned)) == ([], 1, 0)
    assert len(other.held) == 1


def test_a_key_is_chosen_alike_by_all_and_only_keys_of_who_goes_move():
    _, consumers = made(KEY, count=5)
    keys = [f"key {n}" for n in range(300)] + [b"bytes", None, "\udc80"]
    before = {key: chosen_for(key, consumers) for key in keys}
    assert before == {key: chosen_for(key, consumers[::-1]) for key in keys}
    assert min(Counter(before.values()).values()) > 30
    gone, *left = consumers
    for key, outlet in before.items():
        assert (chosen_for(key, left) is outlet) == (outlet is not gone)


def test_a_key_stays_where_an_item_of_it_is_not_done_when_another_consumer_comes():
    outlets, (one,) = made(KEY, count=1, credit=1)
    queue(outlets, range(20), key=lambda number: "ab"[number % 2])
    dealt(outlets)
    others = [outlets.add(service(number), 100, 0.0) for number in range(2, 12)]
    assert {chosen_for(key, [one, *others]) for key in "ab"}.isdisjoint({one})
    for number in range(1, 20):
        finish(outlets, one)
        assert dealt(outlets) == {"s1": [number]}
    finish(outlets, one)
    queue(outlets, [20, 21], key=lambda number: "ab"[number % 2])
    assert "s1" not in dealt(outlets)


def test_a_keys_items_go_on_in_order_at_another_when_theirs_goes():
    outlets, consumers = made(KEY, count=2, credit=2)
    queue(outlets, range(6), key=lambda _: "k")
    chosen = chosen_for("k", consumers)
    (other,) = {*consumers} - {chosen}
    assert dealt(outlets) == {chosen.service.name: [0, 1]}
    held, _ = outlets.remove(chosen.service.key)
    outlets.returned.extend(held)
    got = []
    while batch := dealt(outlets):
        (numbers,) = batch.values()
        got.append(numbers)
        finish(outlets, other)
    assert got == [[0], [1], [2, 3], [4, 5]]


def test_what_failed_is_given_alone_and_first():
    outlets, (one, other) = made(credit=10)
    queue(outlets, range(4))
    dealt(outlets)
    item = one.release(min(one.held))
    outlets.returned.append(item)
    assert dealt(outlets) == {}  # both have something in hand
    queue(outlets, range(10, 14))
    finish(outlets, one)
    assert dealt(outlets) == {"s1": [item.number], "s2": [10, 11, 12, 13]}
    finish(outlets, other)
    queue(outlets, [20])
    assert dealt(outlets) == {"s2": [20]}
    queue(outlets, [21])
    finish(outlets, one)
    assert dealt(outlets) == {"s1": [21]}
    assert not one.alone


def test_half_of_the_consumers_go_on_while_another_makes_room_for_what_failed():
    outlets, (one, other) = made(credit=3)
    queue(outlets, range(6))
    dealt(outlets)
    item = other.release(min(other.held))
    outlets.returned.append(item)
    queue(outlets, [10])
    assert dealt(outlets) == {}  # the other has least in hand: it takes nothing new
    one.release(min(one.held))
    other.release(min(other.held))
    assert dealt(outlets) == {"s1": [10]}
    finish(outlets, other)
    assert dealt(outlets) == {"s2": [item.number]}


def test_a_consumer_with_much_in_hand_gets_no_more(monkeypatch):
    monkeypatch.setattr(outlets_module, "HELD_BYTES", 1000)
    outlets, (one,) = made(count=1, credit=100, batch_bytes=500)
    queue(outlets, range(10), data=bytes(400))
    assert dealt(outlets) == {"s1": [0, 1, 2]}
    assert (one.held_bytes, one.free) == (1200, 0)
    finish(outlets, one)
    assert (one.held_bytes, one.free) == (0, 100)


def test_a_batch_has_so_many_items_and_so_many_bytes_at_most():
    outlets, _ = made(count=1, credit=1000)
    queue(outlets, range(600))
    assert [len(items) for _, _, items in outlets.deal()] == [MAX_BATCH, MAX_BATCH, 600 - 512]
    outlets, _ = made(count=1, credit=1000, batch_bytes=1000)
    outlets.queued = deque(Item(n, bytes(size)) for n, size in enumerate((400, 500, 200, 5000, 1)))
    batches = [[len(item.data) for item in items] for _, _, items in outlets.deal()]
    assert batches == [[400, 500], [200], [5000], [1]]


def test_numbers_are_never_given_twice_to_who_comes_again():
    outlets, (one,) = made(count=1, credit=3)
    queue(outlets, range(10))
    ((_, first, items),) = outlets.deal()
    outlets.remove(one.service.key)
    again = outlets.add(one.service, 3, 0.0)
    ((_, later, _),) = outlets.deal()
    assert later == first + len(items)
    assert again.release(first) is None


def test_what_is_released_twice_is_noticed():
    outlets, (one,) = made(count=1)
    queue(outlets, [0], data=b"four")
    dealt(outlets)
    assert one.release(1).number == 0
    assert (one.release(1), one.held_bytes) == (None, 0)


@pytest.mark.parametrize("mode", [ONE, KEY, ALL])
def test_removing_who_is_not_there_is_nothing(mode):
    assert made(mode)[0].remove(bytes(16)) == ([], [])

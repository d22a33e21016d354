"""The feed keeps order, is bounded, and lets nobody wait for ever."""

import threading

from meshcluster.cli.feed import WAITING, Feed


def test_items_come_out_in_the_order_they_went_in() -> None:
    feed: Feed[int] = Feed()
    for item in range(3):
        feed.put(item)
    assert [feed.take(20), feed.take(20)] == [0, 1]
    assert feed.rest() == [2]
    assert feed.rest() == []


def test_who_takes_waits_for_who_puts() -> None:
    feed: Feed[int] = Feed()
    thread = threading.Thread(target=feed.put, args=(7,))
    thread.start()
    assert feed.take(20) == 7
    thread.join()


def test_who_puts_too_much_waits_until_there_is_room() -> None:
    feed: Feed[int] = Feed()
    thread = threading.Thread(target=lambda: [feed.put(n) for n in range(WAITING + 10)])
    thread.start()
    taken = [feed.take(20) for _ in range(WAITING + 10)]
    thread.join()
    assert taken == list(range(WAITING + 10))


def test_closing_frees_who_waits_and_keeps_what_is_there() -> None:
    feed: Feed[int] = Feed()
    full = threading.Event()

    def fill() -> None:
        for number in range(WAITING):
            feed.put(number)
        full.set()
        feed.put(-1)

    thread = threading.Thread(target=fill)
    thread.start()
    full.wait()
    feed.close()
    thread.join()
    feed.put(-2)
    assert feed.rest() == [*range(WAITING), -1, -2]


def test_a_closed_feed_is_bounded_too() -> None:
    feed: Feed[int] = Feed()
    feed.close()
    for number in range(10 * WAITING):
        feed.put(number)
    assert len(feed.rest()) <= 2 * WAITING


def test_who_waits_in_vain_gets_nothing() -> None:
    assert Feed[int]().take(0.01) is None

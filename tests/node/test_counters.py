"""What was dropped is counted by reason."""

import threading

from meshcluster.node.counters import MAX_REASONS, Counters


def test_the_first_of_a_reason_is_told_apart():
    counters = Counters()
    assert [counters.count("late"), counters.count("late"), counters.count("lost")] == [
        True,
        False,
        True,
    ]


def test_amounts_add_up_by_reason_sorted():
    counters = Counters()
    counters.count("lost", 3)
    counters.count("late")
    counters.count("lost", 2)
    assert list(counters.as_dict().items()) == [("late", 1), ("lost", 5)]


def test_what_is_read_is_a_copy():
    counters = Counters()
    counters.count("late")
    counters.as_dict().clear()
    assert counters.as_dict() == {"late": 1}


def test_with_a_lock_no_count_of_any_thread_is_lost():
    counters = Counters(threading.Lock())

    def count():
        for _ in range(2000):
            counters.count("late")

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.as_dict() == {"late": 8000}


def test_reasons_are_bounded_and_further_ones_are_counted_together():
    counters = Counters()
    counters.count("known")
    first = [counters.count(f"reason {number}") for number in range(MAX_REASONS + 10)]
    counters.count("known")
    counts = counters.as_dict()
    assert len(counts) == MAX_REASONS + 1
    assert (counts["known"], counts["further reasons"]) == (2, 11)
    assert sum(first) == MAX_REASONS - 1 + 1

"""What was dropped is counted by reason."""

import threading

from meshcluster.node.counters import Counters


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

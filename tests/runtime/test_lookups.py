"""Looking up seeds: addresses at once, names on threads of our own, never in the event loop."""

import socket
import threading

import pytest

from meshcluster.node.effects import LookUp
from meshcluster.runtime.lookups import Lookups


class Desk:
    """Where lookups report."""

    def __init__(self):
        self.told = threading.Condition()
        self.found, self.failed = [], []
        self.lookups = Lookups(self.found.append, self.note_failed, self.soon)

    def note_failed(self, name, trouble):
        self.failed.append((name, trouble))

    def soon(self, function):
        with self.told:
            function()
            self.told.notify_all()

    def wait(self):
        with self.told:
            assert self.told.wait_for(lambda: self.found or self.failed, 10)


@pytest.fixture
def desk():
    desk = Desk()
    yield desk
    desk.lookups.close()


def test_addresses_are_told_at_once_and_no_thread_is_started(desk):
    before = threading.active_count()
    desk.lookups.begin(LookUp((("10.0.0.5", 1), ("fe80::1%lo", 2))))
    assert desk.found == [[("10.0.0.5", 1), ("fe80::1%lo", 2)]]
    assert threading.active_count() == before


def test_a_name_is_told_with_all_its_addresses(desk, monkeypatch):
    def answer(host, port, **_):
        assert threading.current_thread() is not threading.main_thread()
        return [(2, 2, 17, "", ("10.0.0.5", port)), (10, 2, 17, "", ("fe80::1", port, 0, 3))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    desk.lookups.begin(LookUp((("mesh.test", 27677),)))
    desk.wait()
    assert desk.found == [[("10.0.0.5", 27677), ("fe80::1", 27677)]]


def test_a_name_that_is_nowhere_is_told_with_the_reason(desk):
    desk.lookups.begin(LookUp((("nowhere.invalid", 27677),)))
    desk.wait()
    ((name, trouble),) = desk.failed
    assert name == "nowhere.invalid"
    assert trouble


def test_a_name_service_that_hangs_is_not_asked_again_and_told_to_nobody_after_the_end(
    desk, monkeypatch
):
    asked, go = [], threading.Event()

    def answer(host, port, **_):
        asked.append(host)
        go.wait(10)
        return [(2, 2, 17, "", ("10.0.0.5", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    for _ in range(3):
        desk.lookups.begin(LookUp((("slow.test", 27677),)))
    desk.lookups.close()
    go.set()
    assert desk.found == []
    assert len(asked) <= 1

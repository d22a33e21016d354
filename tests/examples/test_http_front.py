"""A web server over members that come and go: right answers, or what is wrong, by real HTTP."""

import json
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import quote

import pytest

import meshcluster

pytestmark = pytest.mark.process

COUNTS = {0: 1, 1: 2, 100: 20, 1000: 62, 2000: 93, 10000: 205}


class Front:
    """The server, and those who work for it."""

    def __init__(self, shell):
        self._shell = shell
        started = shell("examples/http_front.py", "0")
        started.wait_for("http://localhost:.../")
        self.port = int(started.output.rpartition(":")[2].strip("/"))
        self.process = started

    def get(self, path):
        """A status, and a value or a text."""
        connection = HTTPConnection("localhost", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            assert text.endswith("\n")
            return response.status, json.loads(text) if response.status == 200 else text.strip()
        finally:
            connection.close()

    def work(self, count, seconds=0.0):
        """Starts so many, until they are known; gives them by name."""
        workers = [self._shell("examples/http_worker.py", str(seconds)) for _ in range(count)]
        for each in workers:
            each.wait_for("ready ...")
        names = {each.output.split()[-1]: each for each in workers}
        self.until(lambda known: names.keys() <= known.keys())
        return names

    def until(self, condition):
        """Asks who works until it is so."""
        deadline = time.monotonic() + 20
        while not condition(self.get("/members")[1]):
            assert time.monotonic() < deadline, "not in twenty seconds"
            time.sleep(0.005)


@pytest.fixture
def front(shell):
    return Front(shell)


def test_palindromes_are_counted_by_one_two_and_four(front):
    for more in (1, 1, 2):
        front.work(more)
        assert {n: front.get(f"/palindrome?n={n}") for n in COUNTS} == {
            n: (200, count) for n, count in COUNTS.items()
        }


def test_palindromes_are_counted_while_one_of_three_is_killed(front):
    workers = front.work(3)
    victim = workers.pop(next(iter(workers)))
    with ThreadPoolExecutor(8) as clients:
        counts = [clients.submit(front.get, "/palindrome?n=10000") for _ in range(40)]
        counts[4].result()
        assert not counts[-1].done()
        victim.signal(signal.SIGKILL)
        assert [count.result() for count in counts] == [(200, 205)] * 40
    front.until(lambda known: known.keys() == workers.keys())


def test_six_sums_at_once_on_four_idle_workers(front, record_property):
    workers = front.work(4, 1.0)
    began = time.monotonic()
    with ThreadPoolExecutor(6) as clients:
        answers = list(clients.map(front.get, ["/sum"] * 6))
    seconds = time.monotonic() - began
    record_property("six sums of 1 s on four workers", f"{seconds:.3f} s")
    assert seconds < 2.5
    assert [status for status, _ in answers] == [200] * 6
    assert all(sum(each["numbers"]) == each["sum"] for _, each in answers)
    assert sorted(Counter(each["member"] for _, each in answers).values()) == [1, 1, 2, 2]
    assert {each["member"] for _, each in answers} == workers.keys()


def test_what_is_wrong_is_told(front):
    for path in ("/sum", "/palindrome?n=100"):
        status, text = front.get(path)
        assert (status, text.split(":")[0]) == (503, "no worker")
    for n in ("abc", "-1", "1.5", "", "99999999999", "²"):
        wrong = (400, f"n={n}: a number from 0 to 10000000")
        assert front.get(f"/palindrome?n={quote(n)}") == wrong
    assert front.get("/palindrome")[0] == 400
    assert front.get("/else") == (404, "there are: /sum /palindrome /members")
    assert front.get("/members") == (200, {})


def test_workers_leave_at_sigterm_and_the_front_at_ctrl_c(front):
    (name, worker), *_ = front.work(1).items()
    assert front.get("/members")[1][name] == ["Arith.sum", "Palindrome.check", "Palindrome.count"]
    with meshcluster.join() as cluster:
        cluster.wait_for_services(2)
        worker.signal(signal.SIGTERM)
        worker.end()
        front.until(lambda known: not known)
        assert front.get("/sum")[0] == 503
    front.process.signal(signal.SIGINT)
    assert front.process.end().endswith("left")

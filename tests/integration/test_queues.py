"""Queues of real processes, whose consumers and producers come, hang, close and are killed: what is
put is done, in the order that is said, and the queue ends by itself. The bounds of time leave ten
times the room.
"""

import os
import signal
import sys
import threading
import time
import zlib
from collections import Counter

import pytest
from cryptography.fernet import Fernet

import meshcluster
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

MEMBER = """
import json, logging, os, signal, sys, time, zlib
import meshcluster

logging.disable()

def tell(*what):
    sys.stdout.write(json.dumps(what) + "\\n")
    sys.stdout.flush()

port, name, *words = sys.argv[1:]
cluster = meshcluster.join(name=name, port=int(port), secret=os.environ.get("SECRET"))
"""


@pytest.fixture
def start(talk, beacon_port):
    """`start(script, *names)` starts members that run it; what still runs at the end is killed."""

    def start(script, *names, words=()):
        return {name: talk(MEMBER + script, beacon_port, name, *words) for name in names}

    return start


@pytest.fixture
def server(beacon_port):
    """A member in this process."""
    with meshcluster.join(name="server", port=beacon_port) as cluster:
        yield cluster


def told_until(process, last):
    """All that a process tells before this word."""
    told = []
    while (said := process.hear())[0] != last:
        told.append(said)
    return told


def ends(processes):
    """Waits for their ends, which are as they should be."""
    for process in processes:
        process.ends()


CAPITALIZER = """
with cluster, cluster.queue("capitals") as capitals:
    capitals.wait_ready()
    for text in cluster.queue("words"):
        capitals.put(text.upper())
"""
SERVER = """
with cluster:
    with cluster.queue("words") as texts:
        texts.put("hello world")
        texts.close()
        for capitals in cluster.queue("capitals"):
            tell(capitals)
tell("over")
"""


def test_dc_a1_words_in_capitals_out_and_both_end_by_themselves(start, took):
    with took("two interpreters started, joined, done and ended in", 20):
        (worker,) = start(CAPITALIZER, "worker").values()
        (master,) = start(SERVER, "master").values()
        assert told_until(master, "over") == [["HELLO WORLD"]]
        ends([master, worker])


TEN = """
import json, os, sys
import meshcluster

meshcluster.Cluster  # is imported before the forks
port, queues = sys.argv[1:]

def live(name):
    with meshcluster.join(name=name, port=int(port)) as cluster:
        for number in range(int(queues)):
            took = [*cluster.queue(f"numbers {number}", type=int, policy="round_robin")]
            os.write(1, (json.dumps([number, name, took]) + "\\n").encode())

children = [os.fork() or live(f"w{number}") or os._exit(0) for number in range(10)]
sys.exit(sum(os.waitpid(child, 0)[1] for child in children))
"""


def deal_in_turn(server, ten, queues):
    """A hundred numbers each by so many queues to ten processes: each gets every tenth."""
    for number in range(queues):
        queue = server.queue(f"numbers {number}", type=int, policy="round_robin")
        queue.wait_ready(10, timeout=30)
        order = [service.name for service in queue.consumers]
        for item in range(100):
            queue.put(item)
        queue.close(drain_timeout=20)
        came = sorted(ten.hear() for _ in range(10))
        assert came == sorted(
            [number, name, list(range(turn, 100, 10))] for turn, name in enumerate(order)
        )
    ten.ends()


def test_dc_a2_strict_round_robin(server, talk, beacon_port):
    deal_in_turn(server, talk(TEN, beacon_port, 3), 3)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_dc_a2_strict_round_robin_fifty_times(talk, beacon_port):
    for number in range(50):
        with meshcluster.join(name=f"server {number}", port=beacon_port) as server:
            deal_in_turn(server, talk(TEN, beacon_port, 1), 1)


TAKES = """
with cluster:
    tell(*cluster.queue("work"))
"""


def test_dc_a3_held_until_somebody_comes(server, start, took):
    queue = server.queue("work", bound=3)
    for item in range(3):
        queue.put(item)
    with pytest.raises(meshcluster.QueueFull, match="0 consumers"):
        queue.put(3, timeout=0.05)
    fourth = threading.Thread(target=queue.put, args=(3,))
    fourth.start()
    began = time.process_time()
    time.sleep(2.0)
    assert time.process_time() - began < 0.1, "five percent"
    with (
        took("0.5 s were waited for who does not come", 2),
        pytest.raises(TimeoutError, match="0 of 1 consumers"),
    ):
        queue.wait_ready(timeout=0.5)
    assert fourth.is_alive()
    (worker,) = start(TAKES, "late").values()
    fourth.join(20)
    queue.close(drain_timeout=20)
    assert worker.hear() == [0, 1, 2, 3]
    worker.ends()


DIES = """
with cluster:
    queue = cluster.queue("work", prefetch=4)
    for number, taken in enumerate(queue.deliveries(), 1):
        time.sleep(0.005)
        if name == "mortal" and number == 4:
            os.kill(os.getpid(), signal.SIGKILL)  # after three, with this one in hand
        tell(taken.item, taken.redelivered)
        taken.done(taken.item * 2)
    tell("over")
"""


@pytest.mark.parametrize("at_most_once", [False, True])
def test_dc_a4_a_worker_is_killed_with_items_in_hand(server, start, at_most_once, record_property):
    processes = start(DIES, "mortal", "other")
    queue = server.queue("work", at_most_once=at_most_once)
    queue.wait_ready(2)
    futures = [queue.submit(item) for item in range(40)]
    queue.close(drain_timeout=20)
    assert processes["mortal"].popen.wait(20) == -signal.SIGKILL
    told = told_until(processes["other"], "over")
    told += [processes["mortal"].hear() for _ in range(3)]
    again = [item for item, redelivered in told if redelivered]
    twice = [item for item, count in Counter(item for item, _ in told).items() if count > 1]
    failures = [future.exception(0) for future in futures]
    results = [None if why else each.result(0) for each, why in zip(futures, failures, strict=True)]
    record_property("lost", queue.lost)
    record_property("given again", len(again))
    assert queue.pending == 0
    if at_most_once:
        assert again == twice == []
        lost = [item for item in range(40) if failures[item]]
        assert 1 <= len(lost) == queue.lost <= 4
        assert [failures[item].items for item in lost] == [(item,) for item in lost]
        assert results == [None if item in lost else item * 2 for item in range(40)]
    else:
        assert results == [item * 2 for item in range(40)]
        assert {item for item, _ in told} == set(range(40))
        assert 1 <= len(again) <= 4
        assert set(twice) <= set(again)
        assert (queue.lost, queue.dead_letters) == (0, [])
    processes["other"].ends()


SLOW = """
with cluster:
    queue = cluster.queue("work", prefetch=1)
    queue.serve(lambda item: time.sleep(0.5) or item * 2)
"""


def test_dc_a5_closed_while_items_are_in_hand(server, start):
    workers = start(SLOW, "w0", "w1")
    queue = server.queue("work")
    queue.wait_ready(2)
    futures = [queue.submit(item) for item in range(4)]
    queue.close()
    assert [future.result(20) for future in futures] == [0, 2, 4, 6]
    ends(workers.values())


def test_dc_a5_closed_with_nobody_there(server, took):
    empty = server.queue("empty")
    with pytest.raises(TimeoutError):
        empty.wait_ready(timeout=0.01)
    with took("nothing is queued: closed in", 0.5):
        empty.close(drain_timeout=10)
    queue = server.queue("work")
    for item in "abc":
        queue.put(item)
    with pytest.raises(meshcluster.Undelivered, match="3 items are not done") as undelivered:
        queue.close(drain_timeout=1)
    assert undelivered.value.items == ("a", "b", "c")


CLOSES = """
queue, results = cluster.queue("work", prefetch=1), cluster.queue("results")
results.wait_ready()
for number, item in enumerate(queue, 1):
    results.put(item)
    if name == "first" and number == 3:
        break
results.close()
tell("closed")
sys.stdin.readline()
cluster.leave()
"""


def test_dc_a6_a_worker_closes_and_lives_on(server, start):
    workers = start(CLOSES, "first", "last")
    queue, results = server.queue("work"), server.queue("results")
    queue.wait_ready(0)
    came, reader = [], threading.Thread(target=lambda: came.extend(results))
    reader.start()
    queue.wait_ready(2)
    for item in range(20):
        queue.put(item)
    assert workers["first"].hear() == ["closed"]
    until(lambda: [service.name for service in queue.consumers] == ["last"])
    until(lambda: [service.name for service in results.producers] == ["last"])
    queue.join(20)
    assert reader.is_alive(), "one of two has not ended"
    queue.close()
    reader.join(20)
    assert workers["last"].hear() == ["closed"]
    assert sorted(set(came)) == list(range(20))
    with pytest.raises(meshcluster.QueueClosed, match="'work' is closed"):
        queue.put(20)
    assert {service.name for service in server.services} == {"first", "last"}
    for worker in workers.values():
        worker.say()
        worker.ends()


POISONED = """
with cluster:
    for taken in cluster.queue("work").deliveries():
        if taken.item == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        taken.done(taken.item)
"""


def test_dc_a7_what_cannot_be_sent_and_what_kills(server, start, caplog):
    workers = start(POISONED, "w0", "w1", "w2", "w3")
    queue = server.queue("work")
    queue.wait_ready(4)
    with pytest.raises(meshcluster.EncodeError):
        queue.put(object())
    assert len(queue.consumers) == 4
    futures = {item: queue.submit(item) for item in (*range(20), "poison", *range(20, 40))}
    queue.close(drain_timeout=20)
    poison = futures.pop("poison").exception(0)
    assert isinstance(poison, meshcluster.DeadLetter)
    assert (poison.item, poison.deliveries) == ("poison", 3)
    assert queue.dead_letters == ["poison"]
    assert [future.result(0) for future in futures.values()] == list(range(40))
    codes = Counter(worker.popen.wait(20) for worker in workers.values())
    assert codes == {-signal.SIGKILL: 3, 0: 1}
    assert "3 consumers failed with an item" in caplog.text


MISFIT = """
with cluster:
    try:
        tell(*cluster.queue("work", type=str))
    except meshcluster.QueueMismatch as error:
        tell("refused", str(error), error.service.name)
"""
STRANGER = """
with cluster:
    try:
        cluster.queue("work", type=int).get(timeout=1)
    except TimeoutError:
        tell("nothing", sum(cluster.dropped.values()))
"""


def test_dc_a8_who_means_another_queue_is_refused_and_the_others_go_on(
    beacon_port, start, monkeypatch, caplog
):
    secret = "the secret of this mesh"
    with meshcluster.join(name="server", port=beacon_port, secret=secret) as server:
        queue = server.queue("work", type=int)
        monkeypatch.setenv("SECRET", secret)
        (worker,) = start(TAKES, "fits").values()
        queue.wait_ready()
        (misfit,) = start(MISFIT, "misfit").values()
        monkeypatch.setenv("SECRET", "the secret of another mesh")
        (stranger,) = start(STRANGER, "stranger").values()
        _, why, who = misfit.hear()
        assert (who, "items are int here, str there" in why) == ("server", True)
        word, dropped = stranger.hear()
        assert (word, dropped > 0) == ("nothing", True)
        assert sum(server.dropped.values()) > 0
        ((refused, reason),) = queue.refused
        assert (refused.name, reason) == ("misfit", "items are int here, str there")
        assert "misfit is refused: items are int here, str there" in caplog.text
        with pytest.raises(TypeError, match="no int"):
            queue.put("a text")
        assert [service.name for service in queue.consumers] == ["fits"]
        for item in range(10):
            queue.put(item)
        queue.close(drain_timeout=20)
        assert worker.hear() == list(range(10))
        ends([worker, misfit, stranger])


PACED = """
with cluster:
    queue = cluster.queue("work", prefetch=1)
    queue.serve(lambda item: time.sleep(float(words[0])) or [name, item])
"""


def test_dc_a9_a_slow_worker_keeps_nobody_waiting(server, start, took):
    workers = [
        *start(PACED, "fast", words=[0.01]).values(),
        *start(PACED, "slow", words=[0.5]).values(),
    ]
    queue = server.queue("work", bound=10)
    queue.wait_ready(2)
    most = 0
    done = []
    with took("100 items of 10 ms or 500 ms on two members", 5):
        for name, item in queue.map(range(100), ordered=False):
            done.append((name, item))
            most = max(most, queue.pending)
    queue.close(drain_timeout=20)
    assert most <= 10
    assert sorted(item for _, item in done) == list(range(100))
    for name in ("fast", "slow"):
        mine = [item for who, item in done if who == name]
        assert mine == sorted(mine)
    ends(workers)


CODED = """
from cryptography.fernet import Fernet

cipher = Fernet(words[0])
codecs = [(zlib.compress, zlib.decompress), (cipher.encrypt, cipher.decrypt)]
with cluster:
    queue = cluster.queue("work", codecs=codecs)
    try:
        queue.serve(len)
    except meshcluster.DecodeError as error:
        tell("refused", str(error))
"""


def test_dc_a10_codecs_in_mirror_order(server, start):
    key, wrong = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    cipher = Fernet(key)
    codecs = [(zlib.compress, zlib.decompress), (cipher.encrypt, cipher.decrypt)]
    queue = server.queue("work", codecs=codecs)
    (stranger,) = start(CODED, "wrong", words=[wrong]).values()
    queue.wait_ready()
    first = queue.submit("secret")
    word, why = stranger.hear()
    assert (word, "a codec refuses what came: InvalidToken()" in why) == ("refused", True)
    (worker,) = start(CODED, "right", words=[key]).values()
    assert first.result(20) == 6, "done by who could read it"
    eight = os.urandom(8_000_000)
    assert queue.submit(eight).result(20) == len(eight)
    with pytest.raises(meshcluster.MessageTooLarge, match=r"67,10\d,\d+ at most"):
        server.queue("without codecs").put(bytes(1 << 26))
    queue.close(drain_timeout=20)
    ends([worker, stranger])


HANGS = """
with cluster:
    queue = cluster.queue("work", prefetch=1)
    for taken in queue.deliveries():
        tell(taken.item, taken.redelivered)
        if name == "hung" and taken.item == 0:
            sys.stdin.readline()
        taken.done(name)
    tell("over")
"""


@pytest.mark.parametrize("lease", [1.0, 30.0])
def test_dc_a11_a_worker_hangs_with_an_item_and_goes_on_too_late(server, start, took, lease):
    (hung,) = start(HANGS, "hung").values()
    queue = server.queue("work", lease=lease)
    queue.wait_ready()
    first = queue.submit(0)
    assert hung.hear() == [0, False]
    hung.popen.send_signal(signal.SIGSTOP)
    (other,) = start(HANGS, "other").values()
    queue.wait_ready(2)
    second = queue.submit(1)
    assert second.result(20) == "other"
    with took(f"given to another, with a lease of {lease:g} s, after", 20):
        assert first.result(20) == "other"
    assert [other.hear(), other.hear()] == [[1, False], [0, True]]
    assert [service.name for service in queue.consumers] == ["other"]
    hung.popen.send_signal(signal.SIGCONT)
    hung.say()
    until(lambda: "hung" in {service.name for service in queue.consumers})
    done = [queue.submit(item).result(20) for item in range(2, 12)]
    queue.close(drain_timeout=20)
    assert first.result(0) == "other"
    assert set(done) <= {"hung", "other"}
    told = {name: told_until(each, "over") for name, each in (("hung", hung), ("other", other))}
    assert sorted(item for each in told.values() for item, _ in each) == list(range(2, 12))
    ends([hung, other])


def test_an_idle_worker_hangs_and_comes_back(server, start):
    (hung,) = start(HANGS, "hung").values()
    queue = server.queue("work", lease=1)
    queue.wait_ready()
    hung.popen.send_signal(signal.SIGSTOP)
    until(lambda: queue.consumers == ())
    hung.popen.send_signal(signal.SIGCONT)
    assert queue.submit(1).result(20) == "hung"
    queue.close(drain_timeout=20)
    hung.ends()


FITS = (1 << 26) - 5000
"""Bytes of an item: `message_bytes`, less what a letter needs."""

ECHOES = """
with cluster:
    cluster.queue("work", prefetch=500).serve(bytes)
"""


def test_results_that_fill_several_letters_and_one_that_just_fits(server, start):
    (worker,) = start(ECHOES, "echo").values()
    queue = server.queue("work")
    queue.wait_ready()
    sizes = [700_000] * 100 + [FITS, 1]
    assert [len(result) for result in queue.map(sizes)] == sizes
    most = bytes(FITS)
    assert queue.submit(most).result(20) == most
    queue.close(drain_timeout=20)
    worker.ends()


KEEPS = """
first, last = map(int, words)
queue = cluster.queue("work")
for item in range(first, last):
    queue.put(item)
queue.wait_ready(2)
tell("put")
if first:
    with cluster:
        queue.close(drain_timeout=20)
else:
    sys.stdin.readline()
"""
FOLLOWS = """
import meshcluster.queues.consuming

meshcluster.queues.consuming.RETURN_SECONDS = 2.0  # less of waiting for the killed one at the end
with cluster:
    queue = cluster.queue("work", prefetch=1)
    for item in queue:
        tell(item)
        if item < 2:
            sys.stdin.readline()
    tell([service.name for service in queue.lost_producers])
    tell("over")
"""


def test_dc_a12_a_producer_is_killed_and_restarted(start, took):
    workers = start(FOLLOWS, "w0", "w1").values()
    (killed,) = start(KEEPS, "server", words=[0, 10]).values()
    assert killed.hear() == ["put"]
    assert sorted(worker.hear() for worker in workers) == [[0], [1]]
    killed.popen.kill()
    for worker in workers:
        worker.say()  # on its own: both are done with what died with the producer
    with took("restarted, attached and done in", 10):
        (again,) = start(KEEPS, "server", words=[2, 40]).values()
        assert again.hear() == ["put"]
        again.ends()
    told = [told_until(worker, "over") for worker in workers]
    assert [each.pop() for each in told] == [[["server"]]] * 2, "they know what they may lack"
    assert sorted(item for each in told for (item,) in each) == list(range(2, 40))
    assert all(each == sorted(each) for each in told)
    ends(workers)

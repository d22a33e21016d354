"""``Worker``: between the pool and a worker's process, whatever that says and does."""

import os
import shlex
import signal
import sys
import time

import psutil
import pytest

from meshcluster import (
    DecodeError,
    EncodeError,
    NoWorkers,
    Serializer,
    Server,
    TaskTimeout,
    WorkerLost,
)
from meshcluster.ssh.far import framing
from tests.waiting import until

from .errands import Pair, register
from .here import FOLDER, children, here, server

SCRIPTED = """
import sys, os
sys.path.insert(0, {root!r})
from meshcluster.ssh.far import framing
from meshcluster.ssh.far.serializer import Serializer
import json
dumps, loads = Serializer().dumps, Serializer().loads

def say(kind, number=0, body=b"", micros=0):
    os.write(1, framing.frame(kind, number, body, micros))

def hello(protocol=1, **told):
    told = {{"pid": os.getpid(), "serializer": "meshcluster-1", "python": "3.11", **told}}
    say(framing.HELLO, protocol, json.dumps(told).encode())

splitter = framing.Splitter()

def frames():
    while data := os.read(0, 65536):
        yield from splitter.feed(data)

{script}
"""


@pytest.fixture
def scripted(tmp_path):
    """A worker of the test's own, that says what its script has it say."""

    def scripted(script, **fields):
        program = tmp_path / "worker.py"
        program.write_text(SCRIPTED.format(root=str(FOLDER.parents[1]), script=script))
        return Server(command=[sys.executable, str(program)], **fields)

    return scripted


DOES = """
for frame in frames():
    if frame.kind == framing.CALL:
        say(framing.DONE, frame.number, dumps(loads(frame.body)), 1)
    elif frame.kind == framing.BYE:
        sys.exit()
"""


def test_whatever_a_login_shell_prints_before_the_hello_is_no_matter(scripted):
    script = "os.write(1, b'Welcome!\\nRUN 1 2\\n\\xff\\x00 meshcluster-worke\\n' * 99)\nhello()\n"
    with here(scripted(script + DOES)) as dispatcher:
        assert dispatcher("x").result(30) == "x"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("sys.exit(7)", "exit status 7 before it said hello"),
        ("print('no such thing', flush=True); sys.exit(7)", "it said 'no such thing'"),
        ("print('the last word', file=sys.stderr); sys.exit(7)", "the last word"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("os.write(1, b'x' * 70_000); os.read(0, 1)", "no worker: it said b'xxx"),
        ("hello(2); os.read(0, 1)", "a worker of protocol 2"),
        ("hello(serializer='other'); list(frames())", "it speaks 'other', not 'meshcluster-1'"),
        ("hello(serializer=''); list(frames())", "it speaks 'nothing'"),
        ("say(framing.HELLO, 1, b'[]'); list(frames())", "no JSON object"),
        ("say(framing.HELLO, 1, b'{'); list(frames())", ""),
        ("hello(pid='x'); list(frames())", ""),
        ("hello(pid=None); list(frames())", ""),
        ("os.close(1); list(frames())", "closed its output"),
    ],
)
def test_a_worker_that_cannot_be_used_is_an_error_that_says_why(scripted, script, why):
    with here(scripted(script)) as dispatcher, pytest.raises(NoWorkers) as caught:
        dispatcher("x").result(30)
    assert why in str(caught.value).replace('"', "'")


@pytest.mark.parametrize(
    "said",
    [
        b"no frame at all\n",
        b"x" * 100,
        b"done 1 99999999999\n",
        b"done one 1\n",
        b"\n",
        b"done 1 -1\n",
    ],
)
def test_a_worker_that_begins_to_talk_nonsense_is_lost(scripted, said):
    script = f"hello()\nfor frame in frames():\n    os.write(1, {said!r})\n"
    with here(scripted(script), attempts=1) as dispatcher, pytest.raises(WorkerLost):
        dispatcher("x").result(30)


def test_answers_that_nobody_asked_for_are_no_matter(scripted):
    script = """
hello()
for number in (0, 7, 10**18):
    for kind in (framing.DONE, framing.RAISED, framing.CANCELLED, framing.UNBEGUN, b"unheard-of"):
        say(kind, number, dumps(None))
"""
    with here(scripted(script + DOES)) as dispatcher:
        assert [dispatcher(n).result(30) for n in range(3)] == [0, 1, 2]


def test_an_answer_that_comes_twice_counts_once(scripted):
    script = DOES.replace("        say(", "        say(framing.OUT, 0, b'')\n        say(")
    twice = script.replace(", 1)\n", ", 1)\n        say(framing.DONE, frame.number, dumps(0), 1)\n")
    with here(scripted("hello()\n" + twice)) as dispatcher:
        assert [dispatcher(n).result(30) for n in range(1, 9)] == list(range(1, 9))


def test_a_result_that_is_no_value_is_the_tasks_error(scripted):
    script = "hello()\n" + DOES.replace("dumps(loads(frame.body))", "b'nonsense'")
    with here(scripted(script)) as dispatcher, pytest.raises(DecodeError, match="local: "):
        dispatcher(1).result(30)


def test_a_result_over_the_limit_of_who_ignores_it_is_not_taken(scripted):
    script = "hello()\n" + DOES.replace("loads(frame.body)", "bytes(2000)")
    with here(scripted(script), body_bytes=1000, attempts=1) as dispatcher:
        with pytest.raises(WorkerLost, match="bytes at once"):
            dispatcher(1).result(30)


def test_what_a_worker_says_in_its_last_moment_is_heard(scripted):
    script = """
hello()
for frame in frames():
    if frame.kind == framing.CALL:
        say(framing.OUT, frame.number, b"the last line")
        say(framing.DONE, frame.number, dumps("the last result"), 1)
        os._exit(3)
"""
    lines = []
    with here(scripted(script), on_log=lines.append) as dispatcher:
        assert dispatcher(1).result(30) == "the last result"
    assert [line.text for line in lines] == ["the last line"]


def test_types_that_only_one_end_knows_are_warned_of(caplog):
    serializer = Serializer()
    register(serializer)
    with here(serializer=serializer, setup=None) as dispatcher:
        assert dispatcher.submit("errands:echo", 1).result(30) == 1
        with pytest.raises(EncodeError, match=r"^here: .*'pair' is not registered"):
            dispatcher.submit("errands:echo", Pair(1, 2)).result(30)
    assert "does not know the types pair, refused" in caplog.text


def test_a_program_that_cannot_be_started_is_an_error_that_names_it(tmp_path):
    folder = str(tmp_path)
    with here(Server(command=[folder])) as dispatcher:
        with pytest.raises(NoWorkers, match="cannot start") as caught:
            dispatcher(1).result(30)
    assert folder in str(caught.value)


def test_a_command_in_one_word_is_the_shells():
    program = "import meshcluster; meshcluster.work(lambda value: value + 1)"
    command = f"true && exec {shlex.quote(sys.executable)} -c {shlex.quote(program)}"
    with here(Server(command=command), setup=None, callback=None) as dispatcher:
        assert dispatcher(1).result(30) == 2


# --- how it ends ----------------------------------------------------------------------------------


def test_a_worker_that_falls_silent_with_a_task_is_given_up(gate):
    before = children()  # other tests' helpers may be there to stay
    with here(heartbeat=0.2) as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        (pid,) = {child.pid for child in psutil.Process().children()} - before
        os.kill(pid, signal.SIGSTOP)
        gate.open()
        assert future.result(30) != pid
        lost, done = future.attempts
        assert (lost.outcome, lost.pid, done.outcome) == ("lost", pid, "done")
        assert "silent for" in lost.reason
        until(lambda: pid not in children())


def test_a_worker_that_works_and_answers_pings_is_not_given_up(gate):
    with here(heartbeat=0.1) as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        time.sleep(0.8)
        gate.open()
        assert future.result(30)
        assert [each.outcome for each in future.attempts] == ["done"]


def test_a_task_that_heeds_nothing_is_ended_with_its_worker():
    with here(attempts=1) as dispatcher:
        pid = dispatcher.submit("errands:pid").result(30)
        quick = dispatcher.options(timeout=0.2)
        with pytest.raises(TaskTimeout):
            quick.submit("errands:heedless").result(30)
        assert dispatcher.submit("errands:pid").result(30) != pid
        assert pid not in children()


def test_what_a_task_has_started_ends_with_the_worker(gate):
    with here() as dispatcher:
        started = dispatcher.submit("errands:leaves_a_child").result(30)
        assert psutil.pid_exists(started)
    until(lambda: not psutil.pid_exists(started))


def test_a_worker_that_is_killed_while_it_has_nothing_to_do_is_replaced():
    with here() as dispatcher:
        pid = dispatcher.submit("errands:pid").result(30)
        os.kill(pid, signal.SIGKILL)
        until(lambda: [each.workers for each in dispatcher.servers] == [0])
        future = dispatcher.submit("errands:pid")
        assert future.result(30) != pid
        assert len(future.attempts) == 1


def test_many_results_in_one_breath_are_all_told():
    with here(server("here", slots=2), window=32) as dispatcher:
        futures = [dispatcher.submit("errands:square", n) for n in range(2000)]
        assert [future.result(30) for future in futures] == [n * n for n in range(2000)]


def test_the_protocol_has_one_number():
    assert framing.PROTOCOL == 1


SLOW_TO_SAY = """
import time
hello()
for frame in frames():
    if frame.kind == framing.CALL:
        for byte in framing.frame(framing.DONE, frame.number, dumps("x" * 25), 1):
            os.write(1, bytes([byte]))
            time.sleep(0.05)
    elif frame.kind == framing.BYE:
        sys.exit()
"""

SLOW_TO_TAKE = """
import time
hello()
first = True
while data := os.read(0, 65536):
    for frame in splitter.feed(data):
        first = False
        if frame.kind == framing.CALL:
            say(framing.DONE, frame.number, dumps(len(frame.body)), 1)
        elif frame.kind == framing.BYE:
            sys.exit()
    if not first:
        time.sleep(0.05)
"""


def test_who_is_slow_to_say_a_large_answer_is_not_silent(scripted):
    with here(scripted(SLOW_TO_SAY), heartbeat=0.3, attempts=1) as dispatcher:
        assert dispatcher("x").result(30) == "x" * 25


def test_who_is_slow_to_take_large_arguments_is_not_silent(scripted):
    with here(scripted(SLOW_TO_TAKE), heartbeat=0.3, attempts=1) as dispatcher:
        assert dispatcher(bytes(3 << 20)).result(30) > 3 << 20

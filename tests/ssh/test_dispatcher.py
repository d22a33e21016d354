"""``Dispatcher``: an executor. Here its workers are processes of this machine."""

import asyncio
import concurrent.futures
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor

import pytest

from meshcluster import (
    ClusterError,
    ConfigError,
    Congested,
    Dispatcher,
    DispatcherClosed,
    DispatchError,
    EncodeError,
    MessageTooLarge,
    NoWorkers,
    Serializer,
    Server,
    TaskRaised,
    TaskTimeout,
    WorkerLost,
)
from tests.waiting import until

from .errands import Pair, Refused
from .here import FOLDER, children, here, server

# --- an executor ------------------------------------------------------------------------------


def test_it_is_an_executor(two):
    assert isinstance(two, Executor)


def test_it_takes_the_place_of_another_executor(two):
    def total(executor):
        futures = [executor.submit(pow, 2, n) for n in range(10)]
        done, left = concurrent.futures.wait(futures, timeout=30)
        assert not left
        return sum(future.result() for future in concurrent.futures.as_completed(done))

    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        assert total(two) == total(threads) == 1023
        assert list(two.map(divmod, [7, 8], [2, 3])) == list(threads.map(divmod, [7, 8], [2, 3]))


def test_nothing_is_started_before_there_is_work():
    before = children()
    with here(slots=3) as dispatcher:
        assert [each.workers for each in dispatcher.servers] == [0]
        assert children() == before


def test_a_value_is_given_to_the_callback(two):
    assert two({"any": [1, 2.5, None, b"\x00"]}).result(30) == (
        "called",
        {"any": [1, 2.5, None, b"\x00"]},
    )


def test_without_a_callback_a_value_is_refused_by_name_at_once():
    before = children()
    with here(callback=None) as dispatcher:
        with pytest.raises(ConfigError, match=r'callback="module:function".*command='):
            dispatcher(1)
        with pytest.raises(ConfigError, match="callback="):
            dispatcher.options(timeout=5)(1)
        assert children() == before, "nothing was begun for that"


def test_where_some_worker_may_have_a_callback_of_its_own_it_is_the_worker_that_says_so():
    program = "import meshcluster; meshcluster.work()"
    command = [sys.executable, "-c", program]
    with here(Server(command=command), callback=None, setup=None) as dispatcher:
        with pytest.raises(LookupError, match="callback="):
            dispatcher(1).result(30)


def test_a_program_of_ones_own_is_a_worker(tmp_path):
    program = tmp_path / "worker.py"
    program.write_text("import meshcluster\nmeshcluster.work(lambda value: value[::-1])\n")
    command = [sys.executable, str(program)]
    with here(Server(command=command), callback=None, setup=None) as dispatcher:
        assert dispatcher("abc").result(30) == "cba"
        assert dispatcher.submit("operator:add", 1, 2).result(30) == 3
        assert [dispatcher(f"{n}").result(30) for n in range(12)][-1] == "11"


@pytest.mark.parametrize("size", [1, 5_000_000])
def test_arguments_and_results_of_any_size_travel(two, size):
    data = os.urandom(size)
    assert two.submit("errands:echo", data).result(30) == data
    assert two.map("errands:echo", [data, data[::-1]]).__next__() == data


def test_arguments_may_be_named(two):
    found = two.submit("errands:echo", 1, 2, function=3, self=4).result(30)
    assert found == (1, (2,), {"function": 3, "self": 4})


def test_registered_types_travel_both_ways(two):
    assert two.submit("errands:Pair.swapped", Pair([1], "b")).result(30) == Pair("b", [1])


def test_what_cannot_travel_is_refused_at_once_and_nothing_is_queued(two):
    with pytest.raises(EncodeError, match="object"):
        two.submit("errands:echo", [1, {"here": object()}])
    with pytest.raises(EncodeError):
        two(object())
    assert two.submit("errands:echo", 1).number - two.submit("errands:echo", 2).number == -1
    assert [each.running for each in two.servers] <= [2]


def test_a_result_that_cannot_travel_is_the_tasks_error_alone(two):
    with pytest.raises(EncodeError, match=r"^here: the result: of type object"):
        two.submit("errands:unsendable").result(30)
    assert two.submit("errands:echo", 1).result(30) == 1


def test_arguments_over_the_limit_are_refused_at_once():
    with here(body_bytes=1000) as dispatcher:
        with pytest.raises(MessageTooLarge, match="body_bytes"):
            dispatcher.submit("errands:echo", b"x" * 1001)
        assert dispatcher.submit("errands:echo", b"x" * 900).result(30) == b"x" * 900


def test_a_result_over_the_limit_is_the_tasks_error():
    with here(body_bytes=1000) as dispatcher:
        with pytest.raises(EncodeError, match=r"^here: .* bytes as a result, of"):
            dispatcher.submit("builtins:bytes", 2000).result(30)
        assert dispatcher.submit("builtins:bytes", 3).result(30) == b"\0\0\0"


def test_modules_are_sent_along(tmp_path, monkeypatch):
    package = tmp_path / "sent_along"
    (package / "inside").mkdir(parents=True)
    (package / "__init__.py").write_text("from .inside.deep import answer\n")
    (package / "inside" / "__init__.py").write_text("")
    (package / "inside" / "deep.py").write_text("def answer():\n    return __name__\n")
    monkeypatch.syspath_prepend(tmp_path)
    with here(Server(), modules=["sent_along"], setup=None, callback=None) as dispatcher:
        monkeypatch.undo()
        assert dispatcher.submit("sent_along:answer").result(30) == "sent_along.inside.deep"
        assert dispatcher.submit("sent_along.inside.deep:answer").result(30)


def test_what_the_worker_cannot_import_is_an_import_error(two):
    with pytest.raises(ImportError, match="no_such_module"):
        two.submit("no_such_module:f").result(30)
    with pytest.raises(AttributeError, match="no_such_function"):
        two.submit("errands:no_such_function").result(30)
    with pytest.raises(ValueError, match="MODULE:FUNCTION"):
        two.submit("errands").result(30)


def test_many_threads_may_use_it_at_once(two):
    found = {}

    def work(name):
        futures = [two.submit("errands:echo", (name, n)) for n in range(100)]
        found[name] = [future.result(30) for future in futures]

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: [(name, n) for n in range(100)] for name in range(8)}


def test_threads_that_begin_together_get_one_engine():
    def engines():
        names = [thread.name for thread in threading.enumerate()]
        return names.count("meshcluster-dispatcher")

    before = engines()
    for _ in range(5):
        with here() as dispatcher:
            start, found = threading.Barrier(6), []

            def work(dispatcher=dispatcher, start=start, found=found):
                start.wait()
                found.append(dispatcher.submit("errands:echo", 1).result(30))

            threads = [threading.Thread(target=work) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert found == [1] * 6
            assert engines() == before + 1
        assert engines() == before


# --- exceptions -------------------------------------------------------------------------------


def test_an_exception_of_pythons_own_is_itself_with_its_traceback_as_the_cause(two):
    future = two.submit("errands:wrong", "ValueError", "x", {"code": 42})
    with pytest.raises(ValueError, match="x") as caught:
        future.result(30)
    assert type(caught.value) is ValueError
    assert caught.value.args == ("x", {"code": 42})
    cause = caught.value.__cause__
    assert isinstance(cause, TaskRaised)
    assert "errands.py" in cause.traceback
    assert "in wrong" in str(cause)
    assert [(each.server, each.outcome) for each in future.attempts] == [("here", "raised")]


def test_a_registered_exception_is_itself(two):
    with pytest.raises(Refused) as caught:
        two.submit("errands:wrong", "Refused", "no", 7).result(30)
    assert caught.value.code == 7
    assert isinstance(caught.value.__cause__, TaskRaised)


def test_any_other_exception_is_told_in_words(two):
    with pytest.raises(TaskRaised, match=r"errands\.Unknown: why not") as caught:
        two.submit("errands:wrong", "Unknown", "why not").result(30)
    error = caught.value
    assert (error.kind, error.text) == ("errands.Unknown", "why not")
    assert "in wrong" in error.traceback


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit"])
def test_what_would_end_this_program_is_told_in_words(two, kind):
    pid = two.submit("errands:pid").result(30)
    with pytest.raises(TaskRaised) as caught:
        two.submit("errands:wrong", kind, 3).result(30)
    assert caught.value.kind == kind
    workers = {two.submit("errands:pid").result(30) for _ in range(20)}
    assert pid in workers


def test_a_stop_iteration_is_told_in_words_for_it_would_end_a_loop_here(two):
    with pytest.raises(TaskRaised) as caught:
        two.submit("errands:wrong", "StopIteration").result(30)
    assert caught.value.kind == "StopIteration"


# A worker that says of itself what it likes: KIND comes from the value that it is given.
HOSTILE = """
import sys
sys.path.insert(0, {far!r})
from meshcluster.ssh.far import framing
from meshcluster.ssh.far.serializer import Serializer
import json, os
serializer = Serializer()
splitter = framing.Splitter()
hello = {{"pid": os.getpid(), "serializer": serializer.name, "python": "3.11"}}
os.write(1, framing.frame(framing.HELLO, 1, json.dumps(hello).encode()))
while data := os.read(0, 65536):
    for frame in splitter.feed(data):
        if frame.kind == framing.CALL:
            told = serializer.dumps(serializer.loads(frame.body))
            os.write(1, framing.frame(framing.RAISED, frame.number, told))
        elif frame.kind == framing.BYE:
            sys.exit()
"""


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (("SystemExit", "text", "trace", (1,), None), "SystemExit"),
        (("KeyboardInterrupt", "text", "trace", (), None), "KeyboardInterrupt"),
        (("BaseException", "text", "trace", (), None), "BaseException"),
        (("__import__", "text", "trace", ("os",), None), "__import__"),
        (("__build_class__", "text", "trace", (), None), "__build_class__"),
        (("exec", "text", "trace", ("raise SystemExit",), None), "exec"),
        (("object", "text", "trace", (), None), "object"),
        (("UnicodeDecodeError", "text", "trace", (1,), None), "UnicodeDecodeError"),
        (("ValueError", "text", "trace", "no tuple", None), "ValueError"),
        (("", "", "", (), None), ""),
    ],
)
def test_what_a_hostile_worker_says_was_raised_makes_nothing_but_exceptions(hostile, told, kind):
    with pytest.raises(TaskRaised) as caught:
        hostile(told).result(30)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "told",
    [
        "text",
        5,
        None,
        (),
        ("too", "short"),
        [1] * 6,
        {},
        (None, "text", "trace", (), None),
        "fives",
    ],
)
def test_what_a_hostile_worker_says_without_sense_is_an_error(hostile, told):
    with pytest.raises(ClusterError, match="cannot be understood"):
        hostile(told).result(30)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    program = tmp_path_factory.mktemp("hostile") / "worker.py"
    program.write_text(HOSTILE.format(far=str(FOLDER.parents[1])))
    with here(Server(command=[sys.executable, str(program)])) as dispatcher:
        with pytest.raises(TaskRaised):
            dispatcher(("a", "b", "c", (), None)).result(30)
        yield dispatcher


class Peculiar:
    """A serializer of one's own, that raises what it likes."""

    name = "meshcluster-1"

    def __init__(self):
        self._real = Serializer()
        self.loads_raises = False

    def dumps(self, value):
        return self._real.dumps(value)

    def loads(self, data):
        if self.loads_raises:
            raise KeyError("surprise")
        return self._real.loads(data)


def test_a_serializer_that_fails_here_is_the_tasks_error():
    serializer = Peculiar()
    with here(serializer=serializer) as dispatcher:
        assert dispatcher.submit("errands:echo", 1).result(30) == 1
        serializer.loads_raises = True
        with pytest.raises(ClusterError, match="surprise"):
            dispatcher.submit("errands:echo", 2).result(30)
        serializer.loads_raises = False
        assert dispatcher.submit("errands:echo", 3).result(30) == 3


# --- terms ------------------------------------------------------------------------------------


def test_a_task_that_takes_too_long_is_ended_and_others_go_on(gate):
    with here() as dispatcher:
        quick = dispatcher.options(timeout=0.2, attempts=1)
        with pytest.raises(TaskTimeout, match=r"more than 0\.2 s") as caught:
            quick.submit("errands:hold", *gate()).result(30)
        assert [each.outcome for each in caught.value.attempts] == ["timeout"]
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


def test_the_timeout_is_of_the_dispatcher_unless_the_task_has_another(gate):
    with here(timeout=0.2) as dispatcher:
        held = dispatcher.options(timeout=40).submit("errands:hold", *gate("a"))
        gate.reached("a")
        time.sleep(0.4)
        gate.open()
        assert held.result(30)
    with here(timeout=0.2) as dispatcher, pytest.raises(TaskTimeout):
        dispatcher.submit("time:sleep", 30).result(30)


def test_a_task_whose_worker_dies_is_tried_again(tmp_path):
    with here() as dispatcher:
        future = dispatcher.submit("errands:dies_first", str(tmp_path / "died"))
        assert future.result(30) == "in the end"
        lost, done = future.attempts
        assert (lost.outcome, done.outcome) == ("lost", "done")
        assert "exit status 3" in lost.reason
        assert "my last words" in lost.stderr
        assert lost.pid != done.pid


def test_a_task_that_kills_its_workers_is_given_up_and_others_go_on():
    with here(attempts=2) as dispatcher:
        with pytest.raises(WorkerLost, match="my last words") as caught:
            dispatcher.submit("errands:die").result(30)
        assert [each.outcome for each in caught.value.attempts] == ["lost", "lost"]
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


def test_what_may_run_once_is_tried_once(tmp_path):
    with here() as dispatcher:
        future = dispatcher.options(attempts=1).submit("errands:dies_first", str(tmp_path / "died"))
        with pytest.raises(WorkerLost):
            future.result(30)
        assert len(future.attempts) == 1


@pytest.mark.parametrize("retry_on", [ValueError, (KeyError, ValueError), [Exception]])
def test_exceptions_are_final_unless_they_are_to_be_tried_again(two, tmp_path, retry_on):
    with pytest.raises(ValueError, match="not yet"):
        two.submit("errands:fails_first", str(tmp_path / "one")).result(30)
    again = two.options(retry_on=retry_on)
    future = again.submit("errands:fails_first", str(tmp_path / "two"))
    assert future.result(30) == "in the end"
    assert [each.outcome for each in future.attempts] == ["raised", "done"]


def test_tries_come_to_an_end(two):
    future = two.options(retry_on=ValueError, attempts=4).submit(
        "errands:wrong", "ValueError", "never"
    )
    with pytest.raises(ValueError, match="never"):
        future.result(30)
    assert len(future.attempts) == 4


def test_higher_priorities_begin_first(gate, tmp_path):
    order = str(tmp_path / "order")
    with here() as dispatcher:
        held = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        futures = [
            dispatcher.options(priority=priority).submit("errands:note", order, priority)
            for priority in (0, -5, 5, 0, 9)
        ]
        gate.open()
        concurrent.futures.wait([held, *futures], timeout=30)
    assert (tmp_path / "order").read_text().split() == ["9", "5", "0", "0", "-5"]


# --- how many at once ---------------------------------------------------------------------------


def test_each_slot_has_a_worker_of_its_own(gate):
    with here(slots=3) as dispatcher:
        futures = [dispatcher.submit("errands:hold", *gate(str(n))) for n in range(4)]
        until(lambda: gate.begun == 3)
        assert [each.workers for each in dispatcher.servers] == [3]
        gate.open()
        assert len({future.result(30) for future in futures}) == 3


def test_no_more_workers_live_at_once_than_may(gate):
    with here(server("a", slots=2), server("b", slots=2), max_servers=2) as dispatcher:
        futures = [dispatcher.submit("errands:hold", *gate(str(n))) for n in range(4)]
        until(lambda: gate.begun == 2)
        assert sum(each.workers for each in dispatcher.servers) == 2
        gate.open()
        assert len({future.result(30) for future in futures}) == 2


def test_a_worker_that_is_there_is_used_again(two):
    pids = {two.submit("errands:pid").result(30) for _ in range(20)}
    assert len(pids) <= 2


def test_a_worker_with_nothing_to_do_is_ended_and_comes_again():
    with here(idle=0.1) as dispatcher:
        first = dispatcher.submit("errands:pid").result(30)
        until(lambda: first not in children())
        until(lambda: [each.workers for each in dispatcher.servers] == [0])
        assert dispatcher.submit("errands:pid").result(30) != first


def test_servers_tell_how_they_are(gate, tmp_path):
    missing = str(tmp_path / "no such program")
    with here(server("good"), server("bad", python=missing)) as dispatcher:
        held = [dispatcher.submit("errands:hold", *gate(str(n))) for n in range(2)]
        gate.reached("0")
        until(lambda: dispatcher.servers[1].why)
        good, bad = dispatcher.servers
        assert (good.name, good.workers, good.running, good.why) == ("good", 1, 1, "")
        assert (bad.name, bad.running) == ("bad", 0)
        assert missing in bad.why
        assert bad.resting >= 0
        gate.open()
        assert all(future.result(30) for future in held)


def test_servers_none_of_which_can_be_had_are_an_error_that_says_why(tmp_path):
    missing = str(tmp_path / "no such program")
    with here(server("bad", python=missing)) as dispatcher:
        with pytest.raises(NoWorkers, match=r"bad: cannot start .*no such program"):
            dispatcher.submit("errands:pid").result(30)


def test_when_it_is_full_who_submits_waits_for_room(gate):
    with here(max_open=2) as dispatcher:
        futures = [dispatcher.submit("errands:hold", *gate(str(n))) for n in range(2)]
        further = []
        thread = threading.Thread(
            target=lambda: further.append(dispatcher.submit("errands:echo", 1))
        )
        thread.start()
        gate.reached("0")
        assert not further
        gate.open()
        thread.join(30)
        assert further[0].result(30) == 1
        assert all(future.result(30) for future in futures)


def test_when_it_is_full_who_submits_is_refused_if_asked_for(gate):
    with here(max_open=2, congestion="error") as dispatcher:
        futures = [dispatcher.submit("errands:hold", *gate(str(n))) for n in range(2)]
        with pytest.raises(Congested, match="max_open"):
            dispatcher.submit("errands:echo", 1)
        futures[1].cancel()
        assert dispatcher.submit("errands:echo", 1).cancel()
        gate.open()
        assert futures[0].result(30)


def test_a_place_is_free_again_however_a_task_ends(tmp_path):
    with here(max_open=1, congestion="error", attempts=1) as dispatcher:
        for _ in range(3):
            dispatcher.submit("errands:echo").result(30)
            with pytest.raises(ValueError, match="x"):
                dispatcher.submit("errands:wrong", "ValueError", "x").result(30)
            with pytest.raises(EncodeError):
                dispatcher.submit("errands:echo", object())
            assert dispatcher.submit("time:sleep", 30).cancel()
        with pytest.raises(WorkerLost):
            dispatcher.submit("errands:die").result(30)
        assert dispatcher.submit("errands:echo", 1).result(30) == 1


# --- what tasks print -------------------------------------------------------------------------


def test_what_a_task_prints_is_told_with_its_number():
    lines = []
    with here(on_log=lines.append) as dispatcher:
        future = dispatcher.submit("errands:say", "one", "zwölf\tü", "")
        future.result(30)
    assert [(line.server, line.task) for line in lines] == [("here", future.number)] * 4
    assert [(line.stream, line.text) for line in lines] == [
        ("stdout", "one"),
        ("stdout", "zwölf\tü"),
        ("stdout", ""),
        ("stderr", "and this is an error"),
    ]


def test_what_a_task_prints_is_logged_unless_somebody_else_takes_it(caplog):
    caplog.set_level("INFO", "meshcluster.ssh")
    with here() as dispatcher:
        future = dispatcher.submit("errands:say", "hello")
        future.result(30)
    assert f"here, task {future.number}, stdout: hello" in caplog.text


def test_who_takes_lines_and_raises_harms_nobody(caplog):
    with here(on_log=lambda line: 1 / 0) as dispatcher:
        assert dispatcher.submit("errands:say", "hello").result(30) is None
        assert dispatcher.submit("errands:echo", 1).result(30) == 1
    assert "on_log= raised" in caplog.text


# --- wrong settings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("max_servers", (0, -1, 1.5, "2", True)),
        ("window", (0, "x")),
        ("max_open", (0, 2.5)),
        ("body_bytes", (0, None.__class__)),
        ("slots", (0, "2", True)),
        ("command", (5, [], "", [5], ["a\0b"])),
        ("python", (5, "", "a\0b")),
        ("callback", (5, "errands", "")),
        ("setup", (5, "errands", "")),
        ("modules", ("json", 5, [5], ["no.such.module"], ["itertools"])),
        ("attempts", (0, 1.5, None, "3")),
        ("timeout", (-1, "x", float("nan"))),
        ("retry_on", (5, "ValueError", [ValueError("x")], [int])),
        ("congestion", ("x", None)),
        ("ssh", (5, [], [5])),
        ("ssh_options", ("BatchMode=no", 5, [5])),
        ("connect_timeout", (0, 0.5, "x", None)),
        ("keep_alive", (0, "x", None)),
        ("heartbeat", (0, -1, "x", None)),
        ("idle", (-1, "x")),
        ("patience", (-1, "x", None)),
        ("via", (5, lambda service: None)),
        ("on_log", (5, "print")),
        ("serializer", (5, object())),
    ],
)
def test_a_setting_that_cannot_work_is_named(name, values):
    for value in values:
        with pytest.raises(ConfigError, match=name):
            Dispatcher([{}], **{name: value})


@pytest.mark.parametrize(
    "servers",
    [5, None, [], {}, "", [5], b"x", ["a", "a"], ["a:b"], ["-oProxyCommand=x"], [{"hots": "a"}],
     [{"host": 5}], [{"user": 5}], [{"user": ""}], [{"name": 5}], [{"port": "22", "host": "a"}],
     [{"options": "x"}], [{"path": "x"}], [{"path": [5]}], [{"identity": 5}], [{"slots": 0}],
     {"a": 5}, [[]], ["a\0b"]],
)  # fmt: skip
def test_servers_that_are_none_are_refused(servers):
    with pytest.raises(ConfigError):
        Dispatcher(servers)


def test_two_ways_of_writing_values_are_refused():
    with pytest.raises(ConfigError, match="serializer="):
        Dispatcher([{}], serializer=Serializer(), unsafe_pickle=True)


@pytest.mark.parametrize(
    "terms", [{"attempts": 0}, {"timeout": -1}, {"retry_on": 5}, {"priority": 1.5}]
)
def test_terms_that_cannot_work_are_named(two, terms):
    with pytest.raises(ConfigError, match=next(iter(terms))):
        two.options(**terms)


# --- the end ------------------------------------------------------------------------------------


def test_it_is_closed_when_what_is_open_is_done(tmp_path):
    before = children()
    with Dispatcher([server()], callback="errands:callback") as dispatcher:
        futures = [dispatcher.submit("errands:echo", n) for n in range(50)]
    assert [future.result(0) for future in futures] == list(range(50))
    assert children() <= before


async def test_an_event_loop_closes_it_by_async_with_and_goes_on_meanwhile(gate):
    before = children()
    turns = []

    async def opens_the_gate_when_closing_waits():
        await asyncio.to_thread(gate.reached)
        turns.append("the loop goes on")
        gate.open()

    async with Dispatcher([server()]) as dispatcher:
        future = dispatcher.submit("errands:hold", *gate())
        other = asyncio.create_task(opens_the_gate_when_closing_waits())
    assert (turns, future.done()) == (["the loop goes on"], True)
    await other
    with pytest.raises(DispatcherClosed):
        dispatcher.submit("errands:echo", 1)
    assert children() <= before


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError])
async def test_async_with_that_ends_by_an_error_waits_unless_it_was_cancelled(gate, error):
    drained = issubclass(error, Exception)
    futures = []

    async def fails():
        async with Dispatcher([server()]) as dispatcher:
            futures.append(dispatcher.submit("errands:hold", *gate()))
            await asyncio.to_thread(gate.reached)
            if drained:
                gate.open()
            raise error

    with pytest.raises(error):
        await fails()
    (future,) = futures
    if drained:
        assert future.result(0)
    else:
        with pytest.raises(DispatcherClosed):
            future.result(0)


def test_when_it_is_closed_all_futures_were_told_however_long_callbacks_took():
    with here(window=8) as dispatcher:
        futures = [dispatcher.submit("errands:echo", n) for n in range(8)]
        for future in futures:
            future.add_done_callback(lambda future: time.sleep(0.1))
        dispatcher.close()
        assert [future.result(0) for future in futures] == list(range(8))


def test_closing_twice_is_no_error_and_it_takes_nothing_more():
    for used in (False, True):
        with here() as dispatcher:
            if used:
                dispatcher.submit("errands:echo", 1).result(30)
            dispatcher.close()
            dispatcher.close()
            dispatcher.shutdown()
            with pytest.raises(DispatcherClosed):
                dispatcher.submit("errands:echo", 1)
            with pytest.raises(DispatcherClosed):
                dispatcher(1)
            with pytest.raises(RuntimeError):
                dispatcher.map("errands:echo", [1])


def test_closed_without_draining_what_waits_is_cancelled_and_what_runs_has_an_error(gate):
    with here() as dispatcher:
        running = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        waiting = dispatcher.submit("errands:echo", 1)
        dispatcher.close(drain=False)
        with pytest.raises(DispatcherClosed):
            running.result(0)
        assert waiting.cancelled()


def test_what_is_not_done_in_time_is_given_up(gate):
    with here() as dispatcher:
        running = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        with pytest.raises(TimeoutError, match=r"open after 0\.1 s"):
            dispatcher.close(timeout=0.1)
        assert isinstance(running.exception(0), DispatcherClosed)


@pytest.mark.parametrize("timeout", ["x", -1])
def test_a_closing_time_that_is_none_is_refused(two, timeout):
    with pytest.raises(ConfigError, match="timeout"):
        two.close(timeout=timeout)
    assert two.submit("errands:echo", 1).result(30) == 1


def test_shutdown_need_not_wait(gate):
    with here() as dispatcher:
        running = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        waiting = dispatcher.submit("errands:echo", 1)
        dispatcher.shutdown(wait=False)
        with pytest.raises(DispatcherClosed):
            dispatcher.submit("errands:echo", 1)
        gate.open()
        assert running.result(30)
        assert waiting.result(30) == 1


def test_shutdown_can_cancel_what_waits(gate):
    with here() as dispatcher:
        running = dispatcher.submit("errands:hold", *gate())
        gate.reached()
        waiting = dispatcher.submit("errands:echo", 1)
        dispatcher.shutdown(wait=False, cancel_futures=True)
        assert waiting.cancelled()
        gate.open()
        dispatcher.shutdown()
        assert running.result(0)


def leave_by(error, dispatcher, *work):
    """The future of what was submitted inside `with`, which ended with this."""
    with pytest.raises(error), dispatcher:
        raise_after(error, future := dispatcher.submit(*work))
    return future


def raise_after(error, future):
    until(lambda: future.running() or future.done())
    raise error


def test_ctrl_c_inside_with_does_not_wait(gate):
    with here() as dispatcher:
        running = leave_by(KeyboardInterrupt, dispatcher, "errands:hold", *gate())
        assert isinstance(running.exception(0), DispatcherClosed)


def test_an_exception_inside_with_waits_for_what_is_open():
    with here() as dispatcher:
        assert leave_by(ZeroDivisionError, dispatcher, "errands:echo", 1).result(0) == 1


def test_a_dispatcher_that_nobody_holds_leaves_nothing_behind():
    before = children()
    dispatcher = Dispatcher([server()])
    assert dispatcher.submit("errands:pid").result(30) in children()
    del dispatcher
    gc.collect()
    until(lambda: children() <= before)


def test_what_nobody_holds_is_done_all_the_same(tmp_path):
    before = children()
    Dispatcher([server()]).submit("errands:note", str(tmp_path / "notes"), 1)
    gc.collect()
    until((tmp_path / "notes").exists)

    def gone():
        gc.collect()
        return children() <= before

    until(gone)


def test_it_may_become_garbage_while_its_own_lock_is_held():
    """As it is when what is collected was a cycle, in the middle of anything."""
    dispatcher = Dispatcher([server()])
    dispatcher.submit("errands:pid").result(30)
    engine = dispatcher._engine
    dispatcher.itself = dispatcher

    def collected(pool, now):
        nonlocal dispatcher
        del dispatcher
        gc.collect()

    thread = threading.Thread(target=engine.act, args=(collected,), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert engine.join(20)


def test_a_program_that_ends_without_closing_leaves_nothing_behind():
    script = (
        "import meshcluster\n"
        "d = meshcluster.Dispatcher([{'slots': 2}])\n"
        "print([d.submit('os:getpid').result() for _ in range(2)][0])\n"
        "d.submit('time:sleep', 40)\n"
        "d.submit('time:sleep', 40)\n"
    )
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=40, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert time.monotonic() - began < 20
    until(lambda: not alive(int(ended.stdout)))


def test_a_program_that_is_killed_leaves_nothing_behind(talk):
    script = (
        "import meshcluster, os\n"
        "d = meshcluster.Dispatcher([{}])\n"
        "print(d.submit('os:getpid').result(), flush=True)\n"
        "d.submit('time:sleep', 40).result()\n"
    )
    talker = talk(script)
    worker = talker.hear()
    talker.popen.send_signal(signal.SIGKILL)
    until(lambda: not alive(worker))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# --- fork -----------------------------------------------------------------------------------------


FORKED = """
import gc, os, sys, meshcluster
server = meshcluster.Server(path=[sys.argv[1]])
d = meshcluster.Dispatcher([server], callback="errands:callback")
open_one = d.submit("errands:hold", *sys.argv[2:4])
parent = os.getpid()
open_one.add_done_callback(lambda future: os.write(1, b"done in %d\\n" % (os.getpid() == parent)))
def attempt(word):
    try:
        exec(word, globals())
    except meshcluster.DispatchError as error:
        os.write(1, f"{word}: {error}\\n".encode())
if os.fork() == 0:
    for word in sys.argv[4:]:
        attempt(word)
    sys.exit(0)
os.write(1, b"child %d\\n" % os.waitstatus_to_exitcode(os.wait()[1]))
open(sys.argv[3], "w").close()
os.write(1, b"parent %d\\n" % (open_one.result() > 0))
d.close()
"""


def forked(gate, words):
    """What a program says whose child does this with a dispatcher `d`; the child's words alone."""
    arguments = ["-W", "ignore", "-c", FORKED, str(FOLDER), *gate(), *words]
    ended = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=40, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    said = ended.stdout.splitlines()
    assert sorted(said[-3:]) == ["child 0", "done in 1", "parent 1"]
    return said[:-3]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@needs_fork
def test_in_a_forked_child_it_says_so(gate):
    words = [
        "d.submit('os:getpid')", "d(1)", "d.map('os:getpid', [1])", "d.servers",
        "open_one.result()", "open_one.exception(5)", "open_one.cancel()",
    ]  # fmt: skip
    said = forked(gate, words)
    assert [line.partition(": ")[0] for line in said] == words
    assert all("os.fork()" in line for line in said)


@needs_fork
@pytest.mark.parametrize(
    "words",
    [[], ["del d; gc.collect()"], ["d.close()", "d.close(drain=False)", "d.shutdown()",
     "d.shutdown(wait=False)", "with d: pass"]],
)  # fmt: skip
def test_closing_it_in_a_forked_child_does_nothing(gate, words):
    assert forked(gate, words) == []


@needs_fork
def test_a_child_that_was_forked_while_the_lock_was_held_ends_all_the_same():
    program = (
        "import os, sys, meshcluster\n"
        "d = meshcluster.Dispatcher([{}])\n"
        "d.submit('os:getpid').result()\n"
        "d._engine.lock.acquire()\n"
        "if os.fork() == 0:\n"
        "    d.close()\n"
        "    sys.exit(0)\n"
        "d._engine.lock.release()\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
        "d.close()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True, text=True, timeout=40, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0\n", "")


def test_an_error_of_a_fork_is_a_dispatchers():
    assert issubclass(DispatcherClosed, DispatchError)
    assert issubclass(DispatcherClosed, RuntimeError)


def test_what_a_file_is_called_comes_with_the_error():
    with here() as dispatcher:
        error = dispatcher.submit("builtins:open", "/there/is/none").exception(20)
    assert isinstance(error, FileNotFoundError)
    assert (error.filename, error.errno) == ("/there/is/none", 2)


def test_a_future_says_where_it_is():
    with here() as dispatcher:
        future = dispatcher.submit("time:sleep", 60)
        until(lambda: future.server)
        assert repr(future) == f"<TaskFuture {future.number} running at {future.server}>"
        future.cancel()

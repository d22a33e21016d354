"""A worker does what frames say, tells what became of it, and ends when nobody is there."""

import os
import subprocess
import sys

import pytest

from meshcluster.ssh.far import framing
from meshcluster.ssh.far.serializer import Serializer
from meshcluster.ssh.far.worker import TOLD_CHARACTERS, find

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "killpg"), reason="no process groups on this system"),
]


# --- tasks --------------------------------------------------------------------------------------


def test_its_hello_says_who_it_is(sent):
    far = sent(quiet=True)
    hello = far.hello()
    assert hello["pid"] == far.popen.pid
    assert hello["python"].startswith("3.")
    assert hello["serializer"] == Serializer().name
    assert hello["types"] == Serializer().types
    assert hello["callback"] is False
    assert hello["host"] == os.uname().nodename


def test_it_runs_functions_by_their_names(sent):
    far = sent("class Deep:\n    @staticmethod\n    def add(a, b=0): return a + b")
    far.run(1, "math:sqrt", 2.25)
    far.run(2, "deeds:Deep.add", [1], b=[2])
    assert far.result(1) == 1.5
    assert far.result(2) == [1, 2]


def test_it_calls_its_callback(sent):
    far = sent("def twice(value): return value * 2", callback="deeds:twice")
    far.call(7, "ab")
    assert far.result(7) == "abab"


def test_it_calls_a_function_for_each_of_many(sent):
    far = sent()
    far.tell(framing.EACH, 3, far.serializer.dumps(("operator:add", [(1, 2), ("a", "b")])))
    assert far.result(3) == ([3, "ab"], None)


def test_of_many_the_results_before_the_first_that_raises_are_told_with_what_it_raised(sent):
    far = sent("done = []\ndef do(x):\n    done.append(x)\n    return 6 // x")
    far.tell(framing.EACH, 3, far.serializer.dumps(("deeds:do", [(1,), (2,), (0,), (3,)])))
    far.run(4, "deeds:done.copy")
    results, told = far.result(3)
    kind, text, trace, args, error = far.serializer.loads(told)
    assert results == [6, 3]
    assert (kind, args) == ("ZeroDivisionError", (text,))
    assert "return 6 // x" in trace
    assert isinstance(error, ZeroDivisionError) or error is None
    assert far.result(4) == [1, 2, 0], "what follows is not begun"


def test_of_many_the_one_under_way_is_cancelled_with_the_others(sent):
    far = sent("import time\ndef do(x):\n    if x:\n        print(x)\n        time.sleep(x)")
    far.tell(framing.EACH, 3, far.serializer.dumps(("deeds:do", [(0,), (40,), (0,)])))
    far.await_line(3)
    far.tell(framing.CANCEL, 3)
    assert far.heard(framing.CANCELLED, 3) == b""


def test_tasks_are_done_in_the_order_in_which_they_came(sent):
    far = sent("done = []\ndef do(x):\n    done.append(x)\n    return list(done)")
    far.write(
        b"".join(
            framing.frame(framing.RUN, n, far.serializer.dumps(("deeds:do", (n,), {})))
            for n in range(1, 50)
        )
    )
    assert [far.result(number) for number in range(1, 50)][-1] == list(range(1, 50))


def test_it_says_how_long_a_task_took(sent):
    far = sent()
    far.run(1, "time:sleep", 0.05)
    assert 50_000 <= far.hear().micros < 20_000_000


def test_setup_is_called_with_the_serializer_before_the_hello(sent):
    far = sent(
        """
        class Point:
            pass
        def setup(serializer):
            serializer.register("point", Point)
        """,
        setup="deeds:setup",
        quiet=True,
    )
    assert "point" in far.hello()["types"]


def test_what_a_task_raises_is_told_with_the_lines_of_its_source(sent):
    far = sent(
        """
        def outer(value):
            return inner(value)  # the outer line

        def inner(value):
            raise ValueError("x", {"code": value})  # the inner line
        """
    )
    far.run(1, "deeds:outer", 42)
    kind, text, trace, args, _ = far.raised(1)
    assert (kind, text) == ("ValueError", "('x', {'code': 42})")
    assert args == ("x", {"code": 42})
    assert "# the outer line" in trace
    assert "# the inner line" in trace
    assert trace.count("File ") == 2, trace
    assert trace.startswith("Traceback (most recent call last):")
    assert trace.endswith("ValueError: ('x', {'code': 42})\n")


def test_what_is_raised_of_what_has_the_trace_of_both(sent):
    far = sent(
        """
        class Odd(Exception):
            pass
        def fail():
            try:
                {}["key"]
            except KeyError as error:
                raise Odd(object()) from error
        """
    )
    far.run(1, "deeds:fail")
    kind, _, trace, args, error = far.raised(1)
    assert kind == "deeds.Odd"
    assert "KeyError: 'key'" in trace
    assert "direct cause" in trace
    assert (args, error) == (None, None)  # they cannot travel


def test_a_registered_exception_is_sent_itself(sent):
    far = sent(
        """
        class Odd(Exception):
            pass
        def setup(serializer):
            serializer.register("odd", Odd)
        def fail():
            error = Odd("text")
            error.more = [1]
            raise error
        """,
        setup="deeds:setup",
    )
    odd = type("Odd", (Exception,), {})
    far.serializer.register("odd", odd)
    far.run(1, "deeds:fail")
    error = far.raised(1)[4]
    assert (type(error), error.args, error.more) == (odd, ("text",), [1])


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import sys\ndef do(): sys.exit('bye')", "SystemExit"),
        ("def do(): raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("def do(): raise GeneratorExit", "GeneratorExit"),
        ("def do(): return do()", "RecursionError"),
        ("class E(Exception):\n  def __str__(s): raise LookupError\ndef do(): raise E", "deeds.E"),
        ("class E(Exception):\n  def __repr__(s): return 5\ndef do(): raise E(E())", "deeds.E"),
        ("def do(): raise ValueError('x' * 10**7)", "ValueError"),
        ("def do(): int('no number')", "ValueError"),
        ("do = 5", "TypeError"),
        ("", "AttributeError"),
        ("import sys\ndef do(): return sys", "meshcluster_worker.serializer.Unserializable"),
        ("def do():\n  x = []\n  for _ in range(10**5): x = [x]\n  return x",
         "meshcluster_worker.serializer.Unserializable"),
    ],
)  # fmt: skip
def test_whatever_a_task_raises_only_that_task_fails(sent, source, kind):
    far = sent(source)
    far.run(1, "deeds:do")
    far.run(2, "math:sqrt", 4)
    told = far.raised(1)
    assert told[0] == kind
    assert len(told[1]) <= TOLD_CHARACTERS
    assert len(told[2]) <= TOLD_CHARACTERS
    assert far.result(2) == 2.0


def test_a_result_that_cannot_travel_is_named_with_its_place(sent):
    far = sent("def do(): return {'a': [1, object()]}")
    far.run(1, "deeds:do")
    assert "the result['a'][1]: of type object" in far.raised(1)[1]


def test_a_result_that_is_too_large_fails_its_task_alone(sent):
    far = sent()
    far.tell(framing.LIMIT, 1000)
    far.run(1, "builtins:bytes", 1000)
    far.run(2, "builtins:bytes", 900)
    assert "bytes as a result, of 1000" in far.raised(1)[1]
    assert far.result(2) == bytes(900)


def test_bytes_that_are_no_value_fail_their_task_alone(sent):
    far = sent("def call(value): return value", callback="deeds:call")
    far.tell(framing.RUN, 1, b"garbage")
    far.tell(framing.CALL, 2, b"")
    far.tell(framing.RUN, 3, far.serializer.dumps("no list"))
    far.call(4, "fine")
    assert far.raised(1)[0].endswith("Unserializable")
    assert far.raised(2)[0].endswith("Unserializable")
    assert far.raised(3)[0] == "ValueError"
    assert far.result(4) == "fine"


def test_who_has_no_callback_says_so(sent):
    far = sent()
    far.call(1, "x")
    assert far.raised(1)[:2] == (
        "LookupError",
        "this worker has no callback: give the dispatcher callback=",
    )


# --- what is printed ----------------------------------------------------------------------------


def test_what_a_task_prints_is_told_with_its_number(sent):
    far = sent(
        """
        import sys
        def say(word):
            print("out", word)
            print("err", word, file=sys.stderr)
            sys.stdout.buffer.write(b"\\xff raw\\n")
            print("a line", "in parts", end="")
            print(".")
            print("no end", end="")
            return word
        """
    )
    for number in (1, 2):
        far.run(number, "deeds:say", number)
        assert far.result(number) == number
        assert far.printed[number, "out"] == (
            b"out %d\n\xff raw\na line in parts.\nno end" % number
        )
        assert far.printed[number, "err"] == b"err %d\n" % number


def test_what_is_printed_before_the_hello_is_in_the_real_standard_error(sent):
    far = sent("def setup(_): print('set up ' * 20_000)", setup="deeds:setup")
    far.close()
    assert far.end()[1].split() == ["set", "up"] * 20_000


def test_a_million_lines_come_and_then_the_result(sent):
    far = sent("def say():\n    for n in range(100000): print(n)")
    far.run(1, "deeds:say")
    assert far.result(1) is None
    assert far.printed[1, "out"].split() == [b"%d" % n for n in range(100_000)]


def test_programs_print_to_the_real_standard_error(sent):
    far = sent(
        """
        import os, subprocess, sys
        def start():
            os.system("echo by system")
            subprocess.run(["echo", "by run"])
            subprocess.run(["echo", "by stdout"], stdout=sys.stdout)
            os.write(1, b"by write\\n")
            sys.__stdout__.write("by the first stdout\\n")
            sys.__stdout__.flush()
        """
    )
    far.run(1, "deeds:start")
    assert far.result(1) is None
    far.tell(framing.BYE)
    assert far.end() == (0, "by system\nby run\nby stdout\nby write\nby the first stdout\n")
    assert far.printed == {}


def test_a_forked_child_prints_to_the_real_standard_error(sent):
    far = sent(
        """
        import os
        def fork():
            child = os.fork()
            if not child:
                print("the child's")
                os._exit(0)
            os.waitpid(child, 0)
            print("mine")
        """
    )
    far.run(1, "deeds:fork")
    assert far.result(1) is None
    assert far.printed == {(1, "out"): b"mine\n"}
    far.tell(framing.BYE)
    assert "the child's\n" in far.end()[1]


@pytest.mark.parametrize("ending", ["return 'child'", "raise SystemExit(3)", "1 / 0"])
def test_a_forked_child_that_does_not_end_itself_answers_nothing(sent, ending):
    far = sent(
        f"""
        import os
        def fork():
            child = os.fork()
            if not child:
                {ending}
            return child, os.waitpid(child, 0)[0]
        """
    )
    far.run(1, "deeds:fork")
    child, ended = far.result(1)
    assert child == ended
    far.run(2, "math:sqrt", 4)
    assert far.result(2) == 2.0


def test_a_task_that_closes_or_replaces_stdout_fails_no_other(sent):
    far = sent(
        """
        import sys
        def close():
            print("closing")
            sys.stdout.close()
        def replace():
            sys.stdout = sys.stderr = None
        """
    )
    for number, what in enumerate(("close", "close", "replace", "replace"), 1):
        far.run(number, f"deeds:{what}")
        assert far.result(number) is None
    assert far.printed[1, "out"] == far.printed[2, "out"] == b"closing\n"
    far.run(9, "builtins:print", "there again")
    far.result(9)
    assert far.printed[9, "out"] == b"there again\n"


def test_input_finds_an_end(sent):
    far = sent()
    far.run(1, "builtins:input")
    assert far.raised(1)[0] == "EOFError"


def test_a_worker_of_a_script_keeps_its_output_apart(opened):
    far = opened([sys.executable, "-c", SCRIPT])
    far.hello()
    far.call(1, 5)
    assert far.result(1) == 10
    far.tell(framing.BYE)
    status, said = far.end()
    assert status == 3
    assert said.endswith("after\n")
    assert far.printed == {(1, "out"): b"in between\n"}


SCRIPT = """
from meshcluster.ssh.far.worker import work
def twice(value):
    print("in between")
    return value * 2
print("before")
work(twice)
print("after")
raise SystemExit(3)
"""


# --- words about tasks --------------------------------------------------------------------------

BUSY = """
import subprocess, sys, threading, time, queue, asyncio

def sleep():
    print("begun")
    time.sleep(60)

def loop():
    print("begun")
    while True:
        pass

def run():
    print("begun")
    subprocess.run(["sleep", "60"])

def thread():
    thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)
    thread.start()
    print("begun")
    thread.join()

def get():
    print("begun")
    queue.Queue().get()

def loops():
    async def main():
        print("begun")
        await asyncio.sleep(60)
    asyncio.run(main())

def cleans():
    try:
        sleep()
    finally:
        print("cleaned")

def prints():
    while True:
        print("x" * 100000)

def swallows():
    try:
        sleep()
    except BaseException as error:
        return type(error).__name__

def other():
    try:
        sleep()
    except BaseException:
        raise ValueError("instead")

def stubborn():
    print("begun")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


@pytest.mark.parametrize("task", ["sleep", "loop", "run", "thread", "get", "loops", "cleans"])
def test_a_running_task_is_cancelled(sent, task):
    far = sent(BUSY)
    far.run(1, f"deeds:{task}")
    far.await_line(1)
    far.tell(framing.CANCEL, 1)
    assert far.heard(framing.CANCELLED, 1) == b""
    assert ("cleaned" in far.await_line(1)) == (task == "cleans")
    far.run(2, "math:sqrt", 4)
    assert far.result(2) == 2.0


def test_a_task_that_prints_is_cancelled_between_frames(sent):
    far = sent(BUSY)
    for number in range(1, 20):
        far.run(number, "deeds:prints")
        far.await_line(number)
        far.tell(framing.CANCEL, number)
        assert far.heard(framing.CANCELLED, number) == b""
        assert set(far.printed[number, "out"].split()) == {b"x" * 100_000}


def test_a_task_may_heed_it_in_its_own_way(sent):
    far = sent(BUSY)
    far.run(1, "deeds:swallows")
    far.await_line(1)
    far.tell(framing.CANCEL, 1)
    assert far.result(1) == "TaskCancelled"
    far.run(2, "deeds:other")
    far.await_line(2)
    far.tell(framing.CANCEL, 2)
    assert far.raised(2)[:2] == ("ValueError", "instead")


def test_who_replaces_the_handler_of_sigint_harms_no_later_task(sent):
    far = sent(BUSY + "import signal\ndef ignore(): signal.signal(2, signal.SIG_IGN)")
    far.run(1, "deeds:ignore")
    far.result(1)
    far.run(2, "deeds:sleep")
    far.await_line(2)
    far.tell(framing.CANCEL, 2)
    far.heard(framing.CANCELLED, 2)


def test_a_sigint_from_elsewhere_is_no_cancelling(sent):
    far = sent(BUSY + "import os\ndef kill(): os.kill(os.getpid(), 2)")
    far.run(1, "deeds:kill")
    assert far.result(1) is None


def test_a_waiting_task_is_cancelled_or_called_back_and_never_begins(sent):
    far = sent(BUSY + "began = []\ndef begin(x): began.append(x)\ndef who(): return began")
    far.run(1, "deeds:sleep")
    far.await_line(1)
    for number in (2, 3, 4):
        far.run(number, "deeds:begin", number)
    far.tell(framing.CANCEL, 2)
    far.heard(framing.UNBEGUN, 2)
    far.tell(framing.RECALL, 3)
    far.heard(framing.UNBEGUN, 3)
    far.tell(framing.RECALL, 1)  # it has begun: nothing to call back
    far.tell(framing.RECALL, 77)
    far.tell(framing.CANCEL, 77)
    far.tell(framing.CANCEL, 1)
    far.heard(framing.CANCELLED, 1)
    assert far.result(4) is None
    far.run(5, "deeds:who")
    assert far.result(5) == [4]


def test_a_cancel_that_comes_too_late_hits_no_other_task(sent):
    far = sent("import time\ndef wait():\n    end = time.monotonic() + 0.2\n"
               "    while time.monotonic() < end: pass")  # fmt: skip
    far.run(1, "math:sqrt", 4)
    assert far.result(1) == 2.0
    far.run(2, "deeds:wait")
    far.tell(framing.CANCEL, 1)
    assert far.result(2) is None


@pytest.mark.parametrize("task", ["sleep", "loop"])
def test_it_answers_pings_while_it_is_busy(sent, task):
    far = sent(BUSY)
    far.run(1, f"deeds:{task}")
    far.await_line(1)
    for number in (5, 6):
        far.tell(framing.PING, number)
        far.heard(framing.PONG, number)


def test_what_it_does_not_know_is_skipped(sent):
    far = sent()
    far.write(b"future 5 3 7\nabc" + b"\xff 0 0\n" + framing.frame(framing.PONG))
    far.tell(framing.PING, 1)
    far.heard(framing.PONG, 1)


# --- its end ------------------------------------------------------------------------------------

CHILD = (
    BUSY
    + """
def child(then):
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid)
    globals()[then]()

def leave():
    print(subprocess.Popen(["sleep", "60"]).pid)

def linger():
    threading.Thread(target=time.sleep, args=(60,)).start()
"""
)


def test_it_ends_when_it_is_told_goodbye(sent):
    far = sent()
    far.run(1, "math:sqrt", 4)
    far.tell(framing.BYE)
    assert far.result(1) == 2.0
    assert far.end() == (0, "")


def test_it_ends_with_its_input(sent):
    far = sent()
    far.close()
    assert far.end()[1] == ""


@pytest.mark.parametrize("end", ["bye", "input"])
def test_what_a_task_left_running_ends_with_it(sent, goes, end):
    far = sent(CHILD)
    far.run(1, "deeds:leave")
    child = int(far.await_line(1))
    far.result(1)
    far.tell(framing.BYE) if end == "bye" else far.close()
    far.end()
    assert goes(child)


@pytest.mark.parametrize("task", ["sleep", "loop", "stubborn", "prints"])
def test_when_the_caller_is_gone_a_task_and_its_children_end(sent, goes, task):
    far = sent(CHILD)
    far.run(1, "deeds:child", task)
    child = int(far.await_line(1).split()[0])
    far.close()
    far.end()
    assert goes(child)


def test_a_caller_that_is_gone_at_once_leaves_nothing_that_runs(sent):
    far = sent(CHILD)
    for number in range(1, 4):
        far.run(number, "deeds:stubborn")
    far.close()
    far.end()
    while far.hear() is not None:
        pass
    assert set(far.printed) <= {(1, "out")}  # no second one has begun


def test_threads_that_tasks_left_do_not_keep_it_alive(sent):
    far = sent(CHILD)
    far.run(1, "deeds:linger")
    far.result(1)
    far.tell(framing.BYE)
    assert far.end() == (0, "")


def test_a_script_has_its_signals_back_after_work(opened):
    far = opened([sys.executable, "-c", AFTERWARDS])
    far.hello()
    far.tell(framing.BYE)
    assert far.end() == (0, "True True\n")


AFTERWARDS = """
import signal
from meshcluster.ssh.far.worker import work
before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
work()
print(*(signal.getsignal(n) is b for n, b in zip((signal.SIGINT, signal.SIGTERM), before)))
"""


def test_garbage_ends_it(sent):
    far = sent()
    far.write(b"GET / HTTP/1.1\r\n\r\n")
    _, said = far.end()
    assert said.startswith("meshcluster worker: no frame: b'GET / HTTP/1.1")


@pytest.mark.parametrize(
    ("told", "last"),
    [
        (
            {"callback": "deeds:missing"},
            "AttributeError: module 'deeds' has no attribute 'missing'",
        ),
        ({"callback": "nowhere:x"}, "ModuleNotFoundError: No module named 'nowhere'"),
        ({"setup": "deeds"}, "ValueError: 'deeds': a function is named MODULE:FUNCTION"),
        ({"setup": "deeds:fails"}, "KeyError: 'why'"),
        ({"callback": "deeds:number"}, "TypeError: deeds:number is no function but a int"),
    ],
)
def test_what_it_cannot_begin_with_is_its_last_line(sent, told, last):
    far = sent("number = 5\ndef fails(serializer): raise KeyError('why')", quiet=True, **told)
    status, said = far.end()
    assert status == 1
    assert said.splitlines()[-1] == last
    assert far.frames.get() is None  # no hello


def test_a_person_at_a_terminal_is_told_what_it_is():
    terminal, end = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], stdin=end, capture_output=True, timeout=60
        )
    finally:
        os.close(terminal)
        os.close(end)
    assert done.returncode == 1
    assert b"this program is a worker: a Dispatcher starts it" in done.stderr


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "math", "math:", ":sqrt", "math.sqrt"])
def test_a_function_has_a_module_and_a_name(name):
    with pytest.raises(ValueError, match="MODULE:FUNCTION"):
        find(name)


def test_a_function_is_found_in_classes_too():
    assert find("os.path:join") is os.path.join
    assert find("builtins:dict.fromkeys")("a") == {"a": None}

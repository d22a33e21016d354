"""What a message costs, counted and not timed: bytecode instructions of our own functions, and what
the loop is asked for. The same on any machine and under any load, so that little more is noticed.

Both members are in one loop, and frames are carried by hand (``benchmarks/steps/pair.py``). The
counts are those of one version of Python; another one has other instructions.
"""

import asyncio
import contextlib
import sys
import threading
from pathlib import Path

import pytest

import meshcluster
from benchmarks.steps import pair
from benchmarks.steps.pair import BODY

MESSAGES = 200
TOGETHER = 64
PACKAGE = str(Path(meshcluster.__file__).parent)
THREADING = threading.__file__

BOUNDS = {
    (3, 11): {
        "a message": 163.4,
        "a question": 3340,
        "one of 64 questions": 830,
        "an acknowledged send": 4632,
        "a request": 3169,
        "one of 64 requests": 601,
        "one of 64 requests with futures": 650,
    },
}  # fmt: skip
"""Instructions by version. Who makes it cheaper lowers them: ``test_the_bounds_are_close``."""

MORE, LESS = 1.05, 0.95


class Instructions:
    """Counts what functions of the package execute in this thread."""

    def __init__(self):
        self.count = 0

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._called)
        return self

    def __exit__(self, *raised):
        sys.settrace(self._before)

    def _called(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._executed

    def _executed(self, frame, event, argument):
        self.count += event == "opcode"
        return self._executed


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts the tasks and futures that are made."""

    futures = tasks = 0

    def create_future(self):
        self.futures += 1
        return super().create_future()

    def create_task(self, *arguments, **named):
        self.tasks += 1
        return super().create_task(*arguments, **named)


@contextlib.contextmanager
def locks_made():
    """What ``threading`` is asked for in this thread meanwhile, locks first of all."""
    made = []

    def called(frame, event, argument):
        if event == "c_call" and argument.__name__ == "allocate_lock":
            made.append(argument.__name__)
        elif event == "call" and frame.f_code.co_filename == THREADING:
            made.append(frame.f_code.co_name)

    sys.setprofile(called)
    try:
        yield made
    finally:
        sys.setprofile(None)


def in_a_loop(function):
    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(function())


def fewest(counted):
    """Of five times: a timer of the members may come in between."""
    return min(counted() for _ in range(5))


def run_at_once(coroutine):
    """Runs what waits for nothing."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def told(members, out, back):
    """Instructions a message, from ``send`` to the hook."""

    def tell():
        before = members.heard[0]
        members.near.cluster._sends = 0  # or other tasks get their turn among these
        with Instructions() as instructions:
            for _ in range(MESSAGES):
                run_at_once(members.near.cluster.send(BODY, services=services))
            members.near.driver._drain()
            members.carry(out, back)
        assert members.heard[0] == before + MESSAGES
        return instructions.count / MESSAGES

    services = (members.near.service,)
    return fewest(tell)


def asked(members, out, back):
    """Instructions a question, from ``query`` to its answer."""

    def ask():
        with Instructions() as instructions:
            query = members.near.cluster.query(BODY, services=services)
            members.carry(out, back)
            run_at_once(query.wait())
        assert list(query.results.values()) == [BODY]
        return instructions.count

    services = (members.near.service,)
    return fewest(ask)


def asked_together(members, out, back):
    """The same where many tasks ask in one turn of the loop."""

    def ask():
        with Instructions() as instructions:
            queries = [members.near.cluster.query(BODY, services=services) for _ in range(TOGETHER)]
            members.near.driver._drain()
            members.carry(out, back)
            for query in queries:
                run_at_once(query.wait())
        return instructions.count / TOGETHER

    services = (members.near.service,)
    return fewest(ask)


def requested(members, out, back, together=1):
    """Instructions a request, from ``ask`` to the call with its answer."""

    def ask():
        answers = []

        def finish(value, error):
            answers.append(value)

        with Instructions() as instructions:
            for _ in range(together):
                box.ask(members.near.service, BODY, finish)
            if together > 1:
                members.near.driver._drain()
            members.carry(out, back)
        assert answers == [BODY] * together
        return instructions.count / together

    box = members.near.cluster.mailbox(f"asks {together}")
    members.far.cluster.mailbox(box.name, lambda letter: letter.data)
    return fewest(ask)


def requested_by_futures(members, out, back):
    """The same with a future for each, of many in one turn of the loop."""

    def ask():
        with Instructions() as instructions:
            futures = [box.request(members.near.service, BODY) for _ in range(TOGETHER)]
            members.near.driver._drain()
            members.carry(out, back)
        assert [future.result() for future in futures] == [BODY] * TOGETHER
        return instructions.count / TOGETHER

    box = members.near.cluster.mailbox("futures")
    members.far.cluster.mailbox(box.name, lambda letter: letter.data)
    return fewest(ask)


async def acknowledged(members, out, back):
    """Instructions of a send with ``ack=True``, from the call to its return."""
    counts = []
    services = (members.near.service,)
    for _ in range(5):
        with Instructions() as instructions:
            sending = members.near.cluster.send(BODY, services=services, ack=True)
            waits_for = sending.send(None)
            members.near.driver._drain()
            members.carry(out, back)
            members.far.driver._drain()
            members.carry(out, back)
            assert waits_for.done()
            run_at_once(sending)
        counts.append(instructions.count)
    return min(counts)


async def counts(prepare=lambda members: None):
    async with pair.joined() as members:
        prepare(members)
        with members.by_hand() as (out, back):
            return {
                "a message": told(members, out, back),
                "a question": asked(members, out, back),
                "one of 64 questions": asked_together(members, out, back),
                "an acknowledged send": await acknowledged(members, out, back),
                "a request": requested(members, out, back),
                "one of 64 requests": requested(members, out, back, TOGETHER),
                "one of 64 requests with futures": requested_by_futures(members, out, back),
            }


@pytest.fixture(scope="module")
def bounds():
    found = BOUNDS.get(sys.version_info[:2])
    if found is None:
        pytest.skip("the instructions of this version of Python are not counted here")
    return found


@pytest.fixture
def counted(bounds):
    return in_a_loop(counts)


def test_nothing_costs_more_instructions_than_it_did(counted, bounds):
    more = {name: (count, bounds[name]) for name, count in counted.items()
            if count > bounds[name] * MORE}  # fmt: skip
    assert not more, "counted, and the bound: find what it does more, or say why and raise it"


def test_the_bounds_are_close(counted, bounds):
    less = {name: (count, bounds[name]) for name, count in counted.items()
            if count < bounds[name] * LESS}  # fmt: skip
    assert not less, "it costs less than the bound: lower it, or the next who adds is not noticed"


def test_one_small_call_more_for_each_message_would_be_noticed(bounds):
    def prepare(members):
        members.far.cluster.hook("event")(lambda message: message.channel)
        members.far.cluster.hook("query")(lambda question: question.data)

    more = in_a_loop(lambda: counts(prepare))
    assert more["a message"] > bounds["a message"] * MORE


def test_no_task_future_or_lock_is_made_for_a_message():
    async def tell():
        loop = asyncio.get_running_loop()
        async with pair.joined() as members:
            services = (members.near.service,)
            began = loop.tasks, loop.futures
            with locks_made() as locks:
                for _ in range(20 * MESSAGES):
                    await members.near.cluster.send(BODY, services=services)
                while members.heard[0] < 20 * MESSAGES:  # noqa: ASYNC110, no hook of ours wakes
                    await asyncio.sleep(0)
            return loop.tasks - began[0], loop.futures - began[1], locks

    tasks, futures, locks = in_a_loop(tell)
    assert (tasks < 5, futures < 5, locks) == (True, True, [])  # a few are the members' own


def test_a_request_without_a_future_makes_none_and_no_task_or_lock():
    async def ask():
        loop = asyncio.get_running_loop()
        async with pair.joined() as members:
            members.far.cluster.mailbox("box", lambda letter: letter.data)
            box, count = members.near.cluster.mailbox("box"), 0

            def finish(value, error):
                nonlocal count
                count += 1

            began = loop.tasks, loop.futures
            with locks_made() as locks:
                for _ in range(MESSAGES):
                    box.ask(members.near.service, BODY, finish)
                while count < MESSAGES:  # noqa: ASYNC110, see above
                    await asyncio.sleep(0)
            return loop.tasks - began[0], loop.futures - began[1], locks

    tasks, futures, locks = in_a_loop(ask)
    assert (tasks < 5, futures < 5, locks) == (True, True, [])


def test_a_question_makes_one_future_and_nothing_else():
    async def ask():
        loop = asyncio.get_running_loop()
        async with pair.joined() as members:
            services = (members.near.service,)
            began = loop.tasks, loop.futures
            with locks_made() as locks:
                for _ in range(MESSAGES):
                    await members.near.cluster.query(BODY, services=services)
            return loop.tasks - began[0], loop.futures - began[1], locks

    tasks, futures, locks = in_a_loop(ask)
    assert (tasks < 5, futures < MESSAGES + 5, locks) == (True, True, [])

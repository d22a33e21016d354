"""Real processes: found, asked, flooded, killed, stopped and lied to. Each bound has ten times the
room that its scenario needs on an idle machine, so that a busy one passes too.
"""

import queue
import random
import signal
import socket
import sys
import time
from contextlib import suppress

import psutil
import pytest

import meshcluster
from meshcluster.config import DEFAULT_ADDRESS
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

PRELUDE = """
import json, sys, threading, time
import meshcluster

def tell(*what):
    sys.stdout.write(json.dumps(what) + "\\n")  # in one piece: several threads tell
    sys.stdout.flush()

def told():
    return sys.stdin.readline().strip()

def join(*tags, **settings):
    return meshcluster.join(tags, port=int(sys.argv[1]), **settings)

"""
TEXT = "naïve façade, 5 €, \0, 😀, \u202e, ﷽"


@pytest.fixture
def start(talk, beacon_port):
    """Starts scripts; what still runs at the end is killed."""
    return lambda script: talk(PRELUDE + script, beacon_port)


@pytest.fixture
def watcher(beacon_port):
    """A member in this process, and when its hooks heard what."""
    cluster = meshcluster.Cluster()
    cluster.heard = queue.Queue()
    for point in ("discovered", "changed", "lost"):

        def hook(service, point=point):
            cluster.heard.put((point, service.name, time.monotonic(), service))

        cluster.hook(f"service.{point}")(hook)
    with cluster.join(["watcher"], port=beacon_port, name="watcher"):
        yield cluster


def heard(watcher, point, name, seconds=20):
    """When the watcher heard this next of anybody."""
    what = watcher.heard.get(timeout=seconds)
    assert what[:2] == (point, name)
    return what[2]


MEMBER = """
cluster = join(name="{name}")
cluster.hook("query")(lambda question: question.data)
tell("joined")
told()
tell("leaving", time.monotonic())
cluster.leave()
"""


def test_ta_1_two_members_see_each_other_with_their_tags_and_talk_at_once(start):
    script = """
began = time.monotonic()
cluster = join("{me}", "blue")
cluster.hook("event")(lambda message: tell("event", message.data, list(message.service.tags)))
(service,) = cluster.wait_for_services()
seconds = time.monotonic() - began
cluster.send("hello from {me}", resolve="{other}")
tell("sees", list(service.tags), seconds)
told()
"""
    one = start(script.format(me="one", other="other"))
    other = start(script.format(me="other", other="one"))
    for process, peer in ((one, "other"), (other, "one")):
        told = sorted([process.hear(), process.hear()])
        assert told[0] == ["event", f"hello from {peer}", [peer, "blue"]]
        assert told[1][:2] == ["sees", [peer, "blue"]]
        assert told[1][2] < 10


def test_ta_2_sixteen_started_at_once_all_know_all(start):
    script = """
cluster = join("member")
cluster.wait_for_services(15, timeout=50)
tell(len(cluster.services), len(set(cluster.services)))
told()
"""
    processes = [start(script) for _ in range(16)]
    assert [process.hear(50) for process in processes] == [[15, 15]] * 16


def test_ta_3_a_query_to_all_on_this_host_ends_when_both_have_answered(start, watcher):
    for name in ("one", "two"):
        assert start(MEMBER.format(name=name)).hear() == ["joined"]
    watcher.wait_for_services(2)
    told = []
    query = watcher.query("2 + 2", resolve="localhost", on_event=lambda name, _: told.append(name))
    answers = {service.name: answer for service, answer in query}
    assert answers == {"one": "2 + 2", "two": "2 + 2"}
    assert query.done
    assert query.wait(10) == query.results


def test_ta_4_two_queries_at_once_get_their_own_answers_whichever_comes_first(start, watcher):
    script = """
quick = threading.Event()
cluster = join()

@cluster.hook("query")
def respond(question):
    if question.data == "slow":
        quick.wait(20)
    else:
        quick.set()
    return "answer to " + question.data

told()
"""
    start(script)
    watcher.wait_for_services()
    slow = watcher.query("slow")
    fast = watcher.query("fast")
    assert list(fast.wait(20).values()) == ["answer to fast"]
    assert list(slow.wait(20).values()) == ["answer to slow"]


def test_ta_5_one_of_three_is_dead_two_answer_and_the_third_is_named_at_once(start, watcher):
    processes = {name: start(MEMBER.format(name=name)) for name in ("one", "two", "three")}
    assert all(process.hear() == ["joined"] for process in processes.values())
    members = watcher.wait_for_services(3)
    assert len(watcher.query("all there?").wait(10)) == 3
    processes["three"].popen.kill()
    began = time.monotonic()
    query = watcher.query("who is there?", services=members, timeout=60)
    answers = query.wait(20)
    assert time.monotonic() - began < 5
    assert {service.name for service in answers} == {"one", "two"}
    ((lost, error),) = query.errors.items()
    assert lost.name == "three"
    assert isinstance(error, (meshcluster.ServiceLost, meshcluster.NoRoute))
    assert query.remaining == ()


def test_ta_6_a_graceful_leave_is_told_at_once(start, watcher):
    process = start(MEMBER.format(name="leaver"))
    heard(watcher, "discovered", "leaver")
    assert process.hear() == ["joined"]
    process.say()
    lost = heard(watcher, "lost", "leaver")
    assert lost - process.hear()[1] < 1
    assert process.popen.wait(10) == 0


def test_ctrl_c_ends_run_forever_with_a_graceful_leave(start, watcher):
    script = """
import traceback

def tell_when_it_runs():
    names = []
    while names[:1] != ["take"] or "run_forever" not in names:
        time.sleep(0.01)
        stack = traceback.walk_stack(sys._current_frames()[threading.main_thread().ident])
        names = [frame.f_code.co_name for frame, _ in stack]
    tell("runs")

threading.Thread(target=tell_when_it_runs).start()
join(name="server").run_forever()
"""
    process = start(script)
    heard(watcher, "discovered", "server")
    assert process.hear() == ["runs"]
    began = time.monotonic()
    process.popen.send_signal(signal.SIGINT)
    assert heard(watcher, "lost", "server") - began < 3
    assert process.popen.wait(10) == 0


@pytest.mark.parametrize("linked", [True, False], ids=["linked", "not linked"])
def test_ta_7_a_kill_is_noticed_within_3_seconds(start, watcher, linked):
    process = start(MEMBER.format(name="victim"))
    heard(watcher, "discovered", "victim")
    assert process.hear() == ["joined"]
    if linked:
        watcher.query("there?").wait(10)
    killed = time.monotonic()
    process.popen.kill()
    assert heard(watcher, "lost", "victim") - killed < 3


def test_who_is_killed_while_asked_ends_the_query(start, watcher):
    script = """
cluster = join(name="victim")
cluster.hook("query")(lambda question: (tell("asked"), time.sleep(60)))
told()
"""
    process = start(script)
    watcher.wait_for_services()
    query = watcher.query("x", timeout=60)
    assert process.hear() == ["asked"]
    process.popen.kill()
    assert query.wait(10) == {}
    assert [type(error) for error in query.errors.values()] == [meshcluster.ServiceLost]


def test_ta_8_a_stopped_member_is_lost_within_10_seconds_and_found_again(start, watcher):
    process = start(MEMBER.format(name="sleeper"))
    heard(watcher, "discovered", "sleeper")
    assert process.hear() == ["joined"]
    watcher.query("there?").wait(10)
    process.popen.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    assert heard(watcher, "lost", "sleeper") - stopped < 10
    process.popen.send_signal(signal.SIGCONT)
    heard(watcher, "discovered", "sleeper")
    assert list(watcher.query("again").wait(20).values()) == ["again"]


def test_a_member_restarted_under_its_name_is_lost_before_it_is_found_again(start, watcher):
    first = start(MEMBER.format(name="phoenix"))
    heard(watcher, "discovered", "phoenix")
    assert first.hear() == ["joined"]
    assert list(watcher.query("there?").wait(10).values()) == ["there?"]
    first.popen.kill()
    assert start(MEMBER.format(name="phoenix")).hear() == ["joined"]
    heard(watcher, "lost", "phoenix")
    heard(watcher, "discovered", "phoenix")
    assert list(watcher.query("again?").wait(10).values()) == ["again?"]
    assert watcher.heard.empty()


CHANGES = {
    "async": """
import asyncio

async def main():
    cluster = meshcluster.AsyncCluster()
    async with cluster.join(["member"], port=int(sys.argv[1]), name="changer"):
        while await asyncio.to_thread(told):
            for number in range(100):
                cluster.tags.append(f"tag-{number}")
                cluster.props[f"prop-{number}"] = number
            await cluster.broadcast("changed")

asyncio.run(main())
""",
    "blocking": """
cluster = join("member", name="changer")
while told():
    cluster.tags.append(*[f"tag-{number}" for number in range(100)])
    cluster.props.update({f"prop-{number}": number for number in range(100)})
    cluster.broadcast("changed")
""",
}


@pytest.mark.parametrize("face", ["async", "blocking"])
def test_ta_9_many_changes_in_one_turn_are_told_once_before_what_is_sent_after(
    start, watcher, face
):
    told = queue.Queue()
    watcher.hook("service.changed")(lambda service: told.put(("changed", service)))
    watcher.hook("event")(lambda message: told.put(("event", message.service)))
    process = start(CHANGES[face])
    watcher.wait_for_services()
    process.say("change")
    (first, service), (second, sender) = told.get(timeout=20), told.get(timeout=20)
    assert (first, second) == ("changed", "event")
    assert len(service.tags) == len(sender.tags) == 101
    assert service.props == {f"prop-{number}": number for number in range(100)}
    watcher.query("anything more?", timeout=20).wait(20)
    assert told.empty()


OBEDIENT = """
cluster = join(name="remote")
cluster.hook("event")(lambda message: tell("event", message.data))
cluster.hook("query")(lambda question: question.data)

def receive(letter):
    tell("note" if not letter.is_request else "request", letter.data)
    return letter.data

box = cluster.mailbox("box", receive, offer=1)
while kind := told():
    (service,) = cluster.wait_for_services()
    try:
        if kind == "event":
            cluster.send("x", services=[service])
        elif kind == "note":
            box.send(service, "x")
        elif kind == "query":
            query = cluster.query("x", services=[service])
            tell("answer", [*query.wait(20).values(), *[e.kind for e in query.errors.values()]])
        else:
            tell("answer", [box.request(service, "x").result(20)])
    except meshcluster.RemoteError as error:
        tell("answer", [error.kind])
"""
KINDS = ["event", "note", "query", "request"]


def edit(message):
    return message.replace(data=message.data + "+")


def veto(message):
    raise meshcluster.HookRejected("not that")


def throw(message):
    raise ZeroDivisionError("a broken hook")


@pytest.fixture
def remote(start, watcher):
    """A member that does as told, known to the watcher and knowing it and its mailbox."""
    watcher.got = queue.Queue()
    watcher.hook("event")(lambda message: watcher.got.put(("event", message.data)))
    watcher.hook("query")(lambda question: (watcher.got.put(("query", question.data)), "a")[1])

    def receive(letter):
        watcher.got.put(("request" if letter.is_request else "note", letter.data))
        return "a"

    watcher.box = watcher.mailbox("box", receive, offer=1)
    process = start(OBEDIENT)
    (watcher.remote,) = watcher.wait_for_services()
    process.say("query")  # it knows us when it is answered
    assert process.hear() == ["answer", ["a"]]
    assert watcher.got.get(timeout=20) == ("query", "x")
    return process


def talk(watcher, kind, data):
    """Sends or asks the remote something; what it answers, or the error of it."""
    service = watcher.remote
    if kind == "event":
        watcher.send(data, services=[service])
    elif kind == "note":
        watcher.box.send(service, data)
    elif kind == "request":
        return watcher.box.request(service, data).result(20)
    else:
        query = watcher.query(data, services=[service])
        answers = query.wait(20)
        if query.errors:
            raise next(iter(query.errors.values()))
        return next(iter(answers.values()))
    return None


STOPS = [(veto, meshcluster.HookRejected), (throw, meshcluster.HookFailed)]


@pytest.mark.parametrize("kind", KINDS)
def test_ta_11_a_send_hook_edits_vetoes_and_throws(watcher, remote, kind):
    watcher.hook("send")(edit)
    answer = talk(watcher, kind, "x")
    if kind != "query":
        assert remote.hear() == [kind, "x+"]
    assert answer == ("x+" if kind in ("query", "request") else None)
    watcher.unhook(edit)
    for hook, error in STOPS:
        watcher.hook("send")(hook)
        with pytest.raises(error):
            talk(watcher, kind, "not sent")
        watcher.unhook(hook)
    talk(watcher, "event", "end")
    assert remote.hear() == ["event", "end"]


@pytest.mark.parametrize("kind", ["query", "request"])
def test_ta_11_a_send_hook_edits_vetoes_and_throws_at_an_answer(watcher, remote, kind):
    for hook, heard in ((edit, "a+"), (veto, "HookRejected"), (throw, "HookFailed")):
        watcher.hook("send")(hook)
        remote.say(kind)
        assert remote.hear() == ["answer", [heard]]
        assert watcher.got.get(timeout=20) == (kind, "x")
        watcher.unhook(hook)
    stopped = {why: n for why, n in watcher.dropped.items() if why.startswith("answers not sent")}
    assert stopped == {"answers not sent: HookRejected": 1, "answers not sent: HookFailed": 1}


@pytest.mark.parametrize("kind", KINDS)
def test_ta_11_a_receive_hook_edits_vetoes_and_throws(watcher, remote, kind):
    for hook, answer in ((edit, "a"), (veto, "HookRejected"), (throw, "HookFailed")):
        watcher.hook("receive")(hook)
        remote.say(kind)
        if kind in ("query", "request"):
            assert remote.hear() == ["answer", [answer]]
        if hook is edit:
            assert watcher.got.get(timeout=20) == (kind, "x+")
        else:
            reason = f"receive: {answer}"
            until(lambda reason=reason: watcher.dropped.get(reason))
        watcher.unhook(hook)
    remote.say("event")
    assert watcher.got.get(timeout=20) == ("event", "x")
    stopped = {why: n for why, n in watcher.dropped.items() if why.startswith("receive: ")}
    assert stopped == {"receive: HookRejected": 1, "receive: HookFailed": 1}


@pytest.mark.parametrize("kind", ["query", "request"])
def test_ta_11_a_receive_hook_edits_vetoes_and_throws_at_an_answer(watcher, remote, kind):
    watcher.hook("receive")(edit)
    assert talk(watcher, kind, "x") == "x+"
    watcher.unhook(edit)
    for hook, error in STOPS:
        watcher.hook("receive")(hook)
        with pytest.raises(error):
            talk(watcher, kind, "x")
        assert watcher.dropped[f"receive: {error.__name__}"] == 1
        watcher.unhook(hook)
    assert talk(watcher, kind, "x") == "x"


@pytest.mark.parametrize("kind", KINDS)
def test_ta_11_what_throws_at_the_end_is_counted_once_and_harms_nobody(watcher, remote, kind):
    reason = "responders that raised" if kind == "query" else "hooks that raised"
    if kind in ("event", "query"):
        watcher.hook(kind, order=-1)(throw)
    else:
        watcher.box.close()
        watcher.box = watcher.mailbox("box", throw)
    remote.say(kind)
    if kind in ("query", "request"):
        assert remote.hear() == ["answer", ["ZeroDivisionError"]]
    until(lambda: watcher.dropped.get(reason))
    if kind == "event":
        assert watcher.got.get(timeout=20) == ("event", "x")
    watcher.unhook(throw)
    remote.say("event")
    assert watcher.got.get(timeout=20) == ("event", "x")
    assert watcher.dropped[reason] == 1


@pytest.mark.parametrize("hook", [veto, throw, lambda service: False])
def test_ta_11_who_is_not_validated_is_no_member_and_is_asked_once(start, beacon_port, hook):
    asked, cluster = [], meshcluster.Cluster()
    cluster.hook("service.validate")(lambda service: asked.append(service.name))
    cluster.hook("service.validate")(hook)
    with cluster.join(["watcher"], port=beacon_port, name="watcher"):
        process = start(MEMBER.format(name="stranger"))
        assert process.hear() == ["joined"]
        until(lambda: asked)
        own = cluster.dropped.get("datagrams: own copies", 0)
        until(lambda: cluster.dropped["datagrams: own copies"] > own + 2)  # some seconds
        assert cluster.services == ()
        assert asked == ["stranger"]
        assert cluster.dropped.get("service.validate: HookFailed", 0) == (hook is throw)


def test_ta_11_observers_that_throw_are_counted_and_the_next_one_is_called(start, watcher):
    for point in ("service.discovered", "service.changed", "service.lost"):
        watcher.hook(point, order=-1)(throw)
    process = start(CHANGES["blocking"])
    heard(watcher, "discovered", "changer")
    process.say("change")
    heard(watcher, "changed", "changer")
    process.popen.stdin.close()
    heard(watcher, "lost", "changer")
    until(lambda: watcher.dropped["hooks that raised"] == 3)


def test_ta_12_what_comes_on_a_channel_not_joined_is_dropped_and_counted(start, watcher):
    script = """
cluster = join(name="sender")
(service,) = cluster.wait_for_services()
while line := told():
    for number in range(100):
        cluster.send(number, services=[service], channel=int(line))
    query = cluster.query("?", services=[service], channel=int(line))
    query.wait(20)
    tell([type(error).__name__ for error in query.errors.values()])
"""
    got = queue.Queue()
    watcher.hook("event")(lambda message: got.put((message.channel, message.data)))
    watcher.hook("query")(lambda question: "answer")
    process = start(script)
    watcher.wait_for_services()
    reason = "messages on channels not joined"
    process.say("7")
    assert process.hear() == [["NoResponder"]]
    until(lambda: watcher.dropped.get(reason) == 101)
    for channel in (7, 1, 2):  # we are on the same host
        watcher.channels.join(channel)
        process.say(str(channel))
        assert process.hear() == [[]]
        assert [got.get(timeout=20) for _ in range(100)] == [(channel, n) for n in range(100)]
    watcher.channels.leave(7)
    process.say("7")
    assert process.hear() == [["NoResponder"]]
    until(lambda: watcher.dropped[reason] == 202)
    assert got.empty()


def test_ta_13_eight_members_send_twenty_to_every_other_at_once(start):
    script = """
heard, complete = [], threading.Event()
cluster = join(name=sys.argv[1] + "-" + told())

@cluster.hook("event")
def event(message):
    heard.append([message.service.name, message.data])
    if len(heard) == 140:
        complete.set()

others = cluster.wait_for_services(7, timeout=30)
tell("ready")
told()
for number in range(20):
    for service in others:
        cluster.send(number, services=[service])
complete.wait(30)
tell(heard)
told()
"""
    processes = [start(script) for _ in range(8)]
    for number, process in enumerate(processes):
        process.say(str(number))
    assert [process.hear() for process in processes] == [["ready"]] * 8
    for process in processes:
        process.say()
    total = 0
    for process in processes:
        (events,) = process.hear()
        senders = {name for name, _ in events}
        assert len(senders) == 7
        for sender in senders:
            assert [number for name, number in events if name == sender] == list(range(20))
        total += len(events)
    assert total == 1120


@pytest.mark.parametrize("who", ["asker", "asked"])
def test_ta_14_where_the_preferred_protocol_is_broken_the_next_one_carries_it(
    start, watcher, runtime_dir, who
):
    """Either end's way to the other by UNIX socket leads nowhere, while it is still offered. A link
    is open already, so another one is asked for.
    """
    script = """
import os
cluster = join(name="remote")
cluster.hook("event")(lambda message: tell("event", message.data, message.protocol))
cluster.hook("query")(lambda question: question.protocol)
while line := told():
    (service,) = cluster.wait_for_services()
    if line == "break":
        (name,) = [e.props["name"] for e in service.endpoints if e.scheme == "unix"]
        os.unlink(os.path.join(os.environ["MESHCLUSTER_RUNTIME_DIR"], name))
        tell("broken", service.protocol)
    else:
        query = cluster.query("x", protocols=["unix", "tcp"])
        tell("answer", list(query.wait(20).values()))
"""
    watcher.hook("query")(lambda question: question.protocol)
    process = start(script)
    (service,) = watcher.wait_for_services()
    if who == "asker":
        (name,) = [e.props["name"] for e in service.endpoints if e.scheme == "unix"]
        (runtime_dir / name).unlink()
        assert service.protocol == "unix"
        watcher.send("hello", services=[service], protocols=["unix", "tcp"])
        assert process.hear() == ["event", "hello", "tcp"]
        (way,) = watcher.query("x", protocols=["unix", "tcp"]).wait(20).values()
        assert way in ("tcp", "unix")  # by UNIX socket once its member, being told, opened it anew
    else:
        process.say("break")
        assert process.hear() == ["broken", "unix"]
        process.say("ask")
        assert process.hear() == ["answer", ["tcp"]]


def test_a_member_killed_while_it_is_requested_ends_the_request(start, watcher):
    script = """
cluster = join(name="victim")
cluster.mailbox("box", lambda letter: tell("asked") or meshcluster.LATER)
told()
"""
    box = watcher.mailbox("box")
    process = start(script)
    until(lambda: box.services)
    future = box.request(box.services[0], "x", timeout=60)
    assert process.hear() == ["asked"]
    process.popen.kill()
    with pytest.raises(meshcluster.ServiceLost):
        future.result(10)


def test_ta_17_nothing_asks_the_name_service(start):
    script = """
import asyncio, socket

def dead(*arguments, **settings):
    raise AssertionError(f"asked the name service: {arguments}")

def audit(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
                 "socket.getnameinfo"):
        tell("asked", event)

for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo",
             "getfqdn"):
    setattr(socket, name, dead)
sys.addaudithook(audit)

async def main():
    began = time.monotonic()
    port = int(sys.argv[1])
    async with meshcluster.AsyncCluster().join(["async"], port=port) as cluster:
        cluster.hook("query")(lambda question: question.protocol)
        with join("blocking", protocols=["tcp"]) as blocking:
            blocking.hook("query")(lambda question: question.protocol)
            await cluster.wait_for_services()
            await asyncio.to_thread(blocking.wait_for_services)
            there = await cluster.query("x")
            back = await asyncio.to_thread(blocking.query("x", protocols=["tcp"]).wait, 10)
    tell([*there.values(), *back.values()], time.monotonic() - began)

asyncio.run(main())
"""
    process = start(script)
    protocols, seconds = process.hear()
    assert protocols == ["tcp", "tcp"]
    assert seconds < 3
    assert process.popen.wait(10) == 0


def test_ta_19_any_text_travels_both_ways_as_it_is(start, watcher):
    script = """
cluster = join()

@cluster.hook("event")
def event(message):
    cluster.send([message.data, message.data.encode()], services=[message.service])

cluster.hook("query")(lambda question: question.data[::-1])
told()
"""
    start(script)
    echoed = queue.Queue()
    watcher.hook("event")(lambda message: echoed.put(message.data))
    watcher.wait_for_services()
    watcher.broadcast(TEXT)
    assert echoed.get(timeout=20) == [TEXT, TEXT.encode()]
    assert list(watcher.query(TEXT).wait(20).values()) == [TEXT[::-1]]


def test_ta_20_a_burst_of_5000_events_arrives_in_order(start, watcher):
    script = """
heard = []
cluster = join()

@cluster.hook("event")
def event(message):
    heard.append(message.data)
    if len(heard) == 5000:
        tell(heard == [f"event {number}" for number in range(5000)], time.monotonic())

told()
"""
    process = start(script)
    receivers = watcher.wait_for_services()
    began = time.monotonic()
    for number in range(5000):
        watcher.send(f"event {number}", services=receivers)
    in_order, ended = process.hear()
    assert in_order
    assert (ended - began) / 5000 < 500e-6


def test_own_copies_are_counted(watcher):
    deadline = time.monotonic() + 10
    while not watcher.dropped.get("datagrams: own copies"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


GARBAGE = [
    b"mc",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"mc\x01",
    b"mc\x01\xc1",
    b"mc\xff" + bytes(20),
    b"mc\x01" + b"\x96" * 1000,
    b"mc\x01\x97\x01\xa7default\xc4\x10" + bytes(16) + b"\xff",
    b"x" * 1500,
    b"x" * 9000,
]


def test_garbage_breaks_nothing_is_counted_and_logged_once_for_each_reason(
    start, watcher, beacon_port
):
    script = """
cluster = join("target")
cluster.hook("query")(lambda question: cluster.dropped)
cluster.hook("event")(lambda message: tell("event", str(message.data)))
told()
"""
    process = start(script)
    (service,) = watcher.wait_for_services(resolve="target")
    connections = psutil.Process(process.popen.pid).net_connections("inet4")
    (own_port,) = {c.laddr.port for c in connections if c.type == socket.SOCK_DGRAM} - {beacon_port}
    (tcp_port,) = [e.props["port"] for e in service.endpoints if e.scheme == "tcp"]

    def counted():
        return next(iter(watcher.query("dropped").wait(10).values()))

    def dropped(kind):
        """How much was dropped since the beginning, by reason."""
        more = {reason: n - before.get(reason, 0) for reason, n in counted().items()}
        more.pop("datagrams: own copies", None)
        return {reason: n for reason, n in more.items() if reason.startswith(kind)}

    before = counted()
    chance = random.Random(20)
    datagrams = GARBAGE + [chance.randbytes(chance.randrange(1, 1000)) for _ in range(100)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        loopback = socket.inet_aton("127.0.0.1")
        stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
        for number, data in enumerate(datagrams, 1):
            stranger.sendto(data, ("127.0.0.1", own_port))
            stranger.sendto(data, (DEFAULT_ADDRESS, beacon_port))
            if number % 20 == 0:  # no more at once than the system holds for who is slow
                until(lambda: sum(dropped("datagrams: ").values()) == 2 * number)  # noqa: B023
    streams = [b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\x08mesh\x01\0\0\0\0\0\0\1\xc1", b"\0\0\0\1x"]
    streams += [chance.randbytes(2000) for _ in range(20)]
    for data in streams:
        with socket.create_connection(("127.0.0.1", tcp_port), timeout=10) as stranger:
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):
                while stranger.recv(1000):
                    pass

    assert watcher.services == (service,)
    until(lambda: sum(dropped("datagrams: ").values()) == 2 * len(datagrams))
    bad_datagrams, bad_links = dropped("datagrams: "), dropped("links: ")
    assert sum(bad_links.values()) >= len(streams) - 3, bad_links
    process.stop()
    assert 0 < len(process.log) <= len(bad_datagrams) + len(bad_links)
    assert len(process.log) == len(set(process.log))
    assert process.said.empty()

"""Cluster: what ``AsyncCluster`` promises, for blocking code and from any thread."""

import itertools
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress

import psutil
import pytest

import meshcluster
from meshcluster import (
    Cluster,
    ClusterError,
    ConfigError,
    Congested,
    EncodeError,
    HookFailed,
    HookRejected,
    MessageTooLarge,
    NoRoute,
    NoServices,
    NotJoined,
    PluginError,
)
from meshcluster.config import Limits


@pytest.fixture(params=["fastest loop", "plain loop"], autouse=True)
def loop(request, monkeypatch):
    """The loops that a cluster may find: uvloop where it is installed, else asyncio's own."""
    if request.param == "plain loop":
        monkeypatch.setitem(sys.modules, "uvloop", None)


def queue_of(cluster, point, **filters):
    """What a hook gets, to wait for."""
    got = queue.Queue()
    cluster.hook(point, **filters)(got.put)
    return got


def take(got):
    return got.get(timeout=10)


def begin(*functions):
    """Runs functions in threads of their own."""
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def end(threads):
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


# --- joining and leaving -------------------------------------------------------------------


def test_join_gives_a_cluster_that_has_joined_and_leaves_as_a_context(beacon_port):
    with meshcluster.join(["web"], port=beacon_port) as made, Cluster() as other:
        assert made.tags == ["web"]
        assert other.join(port=beacon_port) is other
    for cluster in (made, other):
        with pytest.raises(NotJoined):
            _ = cluster.services


def test_joining_twice_is_an_error_and_changes_nothing(join):
    one = join("one")
    with pytest.raises(ClusterError, match="joined already"):
        join("two", cluster=one)
    assert one.tags == ["one"]


def test_leaving_is_idempotent_needs_no_joining_and_may_be_done_by_several_threads(join):
    Cluster().leave()
    one = join()
    end(begin(*[one.leave] * 4))
    one.leave()
    with pytest.raises(NotJoined):
        _ = one.services


def test_who_left_may_join_again_with_the_same_hooks(join, beacon_port):
    join("a")
    one = Cluster()
    found = queue_of(one, "service.discovered")
    for _ in range(2):
        with one.join(port=beacon_port):
            assert take(found).tags == ("a",)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tags": "web"}, ConfigError),
        ({"ttl": 256}, ConfigError),
        ({"protocols": ["unix", "smoke"]}, PluginError),
        ({"tags": ["x" * 60 + str(n) for n in range(1100)]}, MessageTooLarge),
    ],
)
def test_a_join_that_fails_says_why_and_leaves_nothing_behind(beacon_port, settings, error):
    cluster = Cluster()
    held = psutil.Process().num_fds(), threading.active_count()
    with pytest.raises(error):
        cluster.join(**{"port": beacon_port, **settings})
    assert (psutil.Process().num_fds(), threading.active_count()) == held
    cluster.join(port=beacon_port)
    cluster.leave()


def test_before_joining_and_after_leaving_everything_says_so(join):
    left = join()
    left.leave()
    for cluster in (Cluster(), left):
        for use in (
            lambda c: c.services,
            lambda c: c.dropped,
            lambda c: c.undelivered,
            lambda c: c.resolve("x"),
            lambda c: c.tags.append("x"),
            lambda c: c.wait_for_services(),
            lambda c: c.send("x", resolve="y"),
            lambda c: c.broadcast("x"),
            lambda c: c.query("x"),
        ):
            with pytest.raises(NotJoined):
                use(cluster)


def test_run_forever_ends_when_another_thread_leaves(join):
    one = join()
    running = begin(one.run_forever)
    one.leave()
    end(running)


def test_run_forever_after_leaving_is_over(join):
    one = join()
    one.leave()
    one.run_forever()


def test_run_forever_without_having_joined_says_so():
    with pytest.raises(NotJoined, match="call join"):
        Cluster().run_forever()


def test_waiting_for_services_in_a_hook_that_observers_wait_for(join):
    one, seen = join(), queue.Queue()
    one.hook("service.discovered")(lambda service: seen.put(one.wait_for_services(2)))
    join()
    join()
    assert len(take(seen)) == 2


def test_waiting_for_services_ends_when_another_thread_leaves(join):
    one, ended = join(), []

    def wait():
        with pytest.raises(NotJoined):
            one.wait_for_services(5, timeout=60)
        ended.append(True)

    waiting = begin(wait)
    one.leave()
    end(waiting)
    assert ended


@pytest.mark.parametrize("point", ["event", "query", "service.lost"])
def test_a_hook_may_leave(pair, point):
    one, other = pair
    left = queue.Queue()

    @other.hook(point)
    def leave(what):
        other.leave()
        left.put(True)

    if point == "event":
        one.send("go", resolve="other")
    elif point == "query":
        one.query("go")
    else:
        one.leave()
    assert take(left)
    with pytest.raises(NotJoined):
        _ = other.services


def test_leaving_ends_what_runs_and_turns_away_what_comes(pair):
    one, other = pair
    asked, release, ended = threading.Event(), threading.Event(), []
    begun = threading.Event()
    other.hook("query")(lambda question: (asked.set(), release.wait(30), question.data)[2])

    @other.hook("event")
    def take(message):
        begun.set()
        release.wait(30)
        ended.append(message.data)

    query = one.query("first", resolve="other")
    for number in range(3):
        one.send(number, resolve="other")
    assert asked.wait(10)
    assert begun.wait(10)
    deadline = time.monotonic() + 10
    while one.undelivered and time.monotonic() < deadline:
        time.sleep(0.005)
    (gone,) = begin(lambda: other.leave(timeout=3600))
    deadline = time.monotonic() + 10
    while other._driver.joined and time.monotonic() < deadline:
        time.sleep(0.005)
    with pytest.raises(NotJoined, match="being left"):
        other.send("x", resolve="one")
    late = one.query("late", resolve="other")
    assert late.wait(10) == {}
    assert [error.reason for error in late.errors.values()] == ["leaving"]
    release.set()
    assert list(query.wait(10).values()) == ["first"]
    end([gone])
    assert ended == [0, 1, 2]


@pytest.mark.parametrize("timeout", [-1, "1"])
def test_a_deadline_that_is_none(pair, timeout):
    with pytest.raises(ConfigError, match="timeout"):
        pair[0].leave(timeout=timeout)
    assert len(pair[0].services) == 1


def test_an_interceptor_may_not_leave_and_all_goes_on(pair):
    one, other = pair
    heard, refused = queue_of(other, "event"), queue.Queue()

    @other.hook("receive")
    def leave(message):
        with pytest.raises(ClusterError, match="wait for itself"):
            other.leave()
        refused.put(True)

    one.send("x", resolve="other")
    assert take(refused)
    assert take(heard).data == "x"


@pytest.mark.process
def test_a_program_that_ends_without_leaving_is_told_to_have_left(join, beacon_port):
    watcher = join()
    lost = queue_of(watcher, "service.lost")
    code = f"import meshcluster; meshcluster.join(port={beacon_port}).wait_for_services()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert take(lost)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_leave_for_its_parent(beacon_port):
    code = f"""
import os, meshcluster
cluster = meshcluster.join(["parent"], port={beacon_port})
other = meshcluster.join(["other"], port={beacon_port})
other.wait_for_services(resolve="parent")
if (child := os.fork()) == 0:
    cluster.leave()
    os._exit(0)
os.waitpid(child, 0)
other.hook("query")(lambda question: "there")
assert list(cluster.query("x", resolve="other").wait(10).values()) == ["there"]
cluster.leave(); other.leave()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=30)


# --- members and hooks ---------------------------------------------------------------------


def test_a_late_hook_is_told_each_known_member_once(join):
    late = join("late")
    for tag in "abc":
        join(tag)
    late.wait_for_services(3)
    found = queue_of(late, "service.discovered")
    join("d")
    told = [take(found).tags[0] for _ in range(4)]
    assert (set(told[:3]), told[3]) == ({"a", "b", "c"}, "d")
    late.wait_for_services(4)
    assert found.empty()


def test_members_that_come_while_hooks_are_placed_are_told_once(join):
    late, told = join("late"), [queue.Queue() for _ in range(30)]
    joining = begin(lambda: [join(str(n)) for n in range(6)])
    for each in told:
        late.hook("service.discovered")(each.put)
    end(joining)
    late.wait_for_services(6)
    for each in told:
        assert len({take(each) for _ in range(6)}) == 6
        assert each.empty()


def test_events_and_questions_wait_for_the_first_hook(pair):
    one, other = pair
    one.send("early", resolve="other")
    query = one.query("early?")
    assert take(queue_of(other, "event")).data == "early"
    other.hook("query")(lambda question: question.data)
    assert list(query.wait(10).values()) == ["early?"]


def test_hooks_may_be_placed_and_taken_by_many_threads(join):
    one, wrong = join(), []

    def place_and_take():
        for _ in range(500):

            def hook(message):
                pass

            one.hook("event")(hook)
            if (count := one.unhook(hook)) != 1:
                wrong.append(count)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        end(begin(*[place_and_take] * 4))
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


def test_wait_for_services_says_how_many_there_were(join):
    one, _ = join(), join("web")
    assert len(one.wait_for_services()) == 1
    with pytest.raises(TimeoutError, match=r"1 of 2 services with resolve='web' after 0\.05 s"):
        one.wait_for_services(2, resolve="web", timeout=0.05)


def test_changed_tags_are_told_and_resolved_by(pair):
    one, other = pair
    changed = queue_of(one, "service.changed")
    other.tags.append("new")
    assert take(changed).tags == ("other", "new")
    other.tags.remove("other")
    assert take(changed).tags == ("new",)
    other.tags.replace(["a", "b"])
    assert take(changed).tags == ("a", "b")
    assert one.resolve("a", "b", "localhost") == one.services


def test_service_validate_refuses_members(join):
    picky = Cluster()
    picky.hook("service.validate")(lambda service: "good" in service.tags)
    join(cluster=picky)
    found = queue_of(picky, "service.discovered")
    join("bad").wait_for_services()
    join("good")
    assert take(found).tags == ("good",)
    assert [service.tags for service in picky.services] == [("good",)]


def test_interceptors_that_hold_a_sender_up_are_told(pair):
    one, other = pair

    @one.hook("send")
    def slow(message):
        time.sleep(0.06)

    heard = queue_of(other, "event")
    one.send("x", resolve="other")
    assert take(heard).data == "x"
    ((name, count),) = one.slow_hooks.items()
    assert name.endswith("slow")
    assert count == 1
    assert other.slow_hooks == {}


def test_interceptors_replace_and_veto(pair):
    one, other = pair
    heard = queue_of(other, "event")
    other.hook("receive")(lambda message: message.replace(data=message.data + "!"))

    @one.hook("send")
    def send(message):
        if message.data == "veto":
            raise HookRejected("never")
        if message.data == "break":
            raise ValueError("inside")

    with pytest.raises(HookRejected, match="never"):
        one.send("veto", resolve="other")
    with pytest.raises(HookFailed, match="inside"):
        one.broadcast("break")
    one.send("fine", resolve="other")
    assert take(heard).data == "fine!"


def test_a_send_hook_runs_in_the_callers_thread(pair):
    one, _ = pair
    threads = []
    one.hook("send")(lambda message: threads.append(threading.current_thread()))
    one.broadcast("x")
    assert threads == [threading.current_thread()]


# --- messages ------------------------------------------------------------------------------


def test_what_is_wrong_is_raised_in_the_caller(pair):
    one, _ = pair
    with pytest.raises(NoServices, match=r"broadcast\(\)"):
        one.send("x")
    with pytest.raises(NoServices, match="'nobody'"):
        one.send("x", resolve="nobody")
    with pytest.raises(EncodeError):
        one.send(object(), resolve="other")
    with pytest.raises(NoRoute):
        one.send("x", resolve="other", protocols=["smoke"])


def test_messages_go_by_the_protocol_and_channel_asked_for(join):
    one, other = join("one"), join("other", channels=[7])
    one.wait_for_services()
    heard = queue_of(other, "event")
    one.send("a", resolve="other")
    one.send("b", resolve="other", protocols=["tcp"], channel=7)
    got = {(m.data, m.protocol, m.channel) for m in (take(heard), take(heard))}
    assert got == {("a", "unix", 0), ("b", "tcp", 7)}


def test_the_short_way_of_sending_keeps_the_promises_of_the_long(pair):
    """One resolved receiver and a small body take a path of their own; order is kept across."""
    one, other = pair
    heard = queue_of(other, "event")
    receiver = one.services
    values = [b"bytes", "text", {"a": (1,)}, b"x" * 100_000, None] * 40
    for number, value in enumerate(values):
        if number % 2:
            one.send(value, services=receiver)
        else:
            one.send(value, resolve="other")
    assert [take(heard).data for _ in values] == values


def test_an_interrupt_at_any_line_of_a_send_keeps_no_later_one_from_arriving(join):
    """Ctrl-C comes between any two lines; here it does so on purpose, at each of them."""
    one, other = (join(name, heartbeat_seconds=15) for name in ("one", "other"))
    one.wait_for_services()  # and no beacon wakes it for the sake of others
    got = queue_of(other, "event")
    line, interrupted = 0, True
    while interrupted:
        line, interrupted = line + 1, False
        while not one._cluster.joined.node.idle:
            pass  # until all is acknowledged: an acknowledgement would wake it
        with suppress(KeyboardInterrupt):
            sys.settrace(interrupt_at(line))
            try:
                one.send(line, resolve="other")
            except KeyboardInterrupt:
                interrupted = True
            finally:
                sys.settrace(None)
        one.send(-line, resolve="other")
        while take(got).data != -line:
            pass
    assert line > 10


def interrupt_at(number):
    """A trace function that raises at that line of the package, counted from now."""
    lines = itertools.count(1)

    def trace(frame, event, argument):
        if "meshcluster" not in frame.f_code.co_filename:
            return None
        if event == "line" and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    return trace


def test_a_broadcast_to_nobody_is_no_error(join):
    assert join().broadcast("x") == ()


def test_a_broadcast_while_members_leave_is_no_error(join):
    one, stop, errors = join(), threading.Event(), []

    def broadcast():
        while not stop.is_set():
            try:
                one.broadcast("x")
            except ClusterError as error:
                errors.append(error)

    sending = begin(broadcast)
    for _ in range(10):
        other = join()
        other.wait_for_services()
        other.leave()
    stop.set()
    end(sending)
    assert errors == []


def test_a_blocked_event_hook_holds_senders_up_but_no_question(join):
    window, count = 1024 * 1024, 50
    limits = Limits(event_window_bytes=window, waiting_messages=count, send_seconds=0.2)
    one, other = join(limits=limits), join("slow", limits=limits)
    one.wait_for_services()
    release, heard = threading.Event(), queue.Queue()
    other.hook("event")(lambda message: (release.wait(30), heard.put(message.data[0])))
    other.hook("query")(lambda question: "awake")
    sent = 0

    def flood():
        nonlocal sent
        while one.send([sent, b"x" * 10_000], resolve="slow"):
            sent += 1

    with pytest.raises(Congested, match=r"did not take .* 0\.2 s; nothing was sent"):
        flood()
    held = (sent - count) * 10_000
    assert held < window + 2 * 64 * 1024, "what the receiver holds is bounded by its credit"
    assert list(one.query("?").wait(10).values()) == ["awake"]
    release.set()
    one.send([sent, b""], resolve="slow")
    assert [take(heard) for _ in range(sent + 1)] == list(range(sent + 1))


def test_who_waits_for_room_among_datagrams_gets_it_though_no_link_is_written_to(join):
    limits = Limits(waiting_messages=5, send_seconds=5)
    one, other = join(limits=limits), join("other", limits=limits)
    one.wait_for_services()
    for number in range(400):  # each would wait for a tenth of a second before it looked again
        assert one.send(number, resolve="other", protocols=["udp"])
        assert one.broadcast(number, protocols=["udp"])
    one.send("end", resolve="other")
    other.leave()


def test_a_sender_that_waits_for_room_ends_when_its_cluster_is_left(join):
    limits = Limits(event_window_bytes=512 * 1024, waiting_messages=5, leave_seconds=0.1)
    one, other = join(limits=limits), join("slow", limits=limits)
    one.wait_for_services()
    release, blocked, ended = threading.Event(), threading.Event(), []
    other.hook("event")(lambda message: (blocked.set(), release.wait(30)))

    def send_on():
        while True:
            one.send(b"x" * 100_000, resolve="slow")

    def send():
        with pytest.raises(NotJoined):
            send_on()
        ended.append(True)

    sending = begin(send)
    assert blocked.wait(10)
    one.leave()
    end(sending)
    release.set()
    assert ended


# --- blocking calls in hooks ---------------------------------------------------------------


@pytest.mark.parametrize("point", ["event", "query", "service.changed"])
def test_a_hook_may_ask_and_wait(pair, point):
    one, other = pair
    one.hook("query")(lambda question: question.data * 2)
    answers = queue.Queue()

    @other.hook(point)
    def ask(what):
        answers.put(list(other.query(21, resolve="one").wait(10).values()))

    if point == "event":
        one.send("go", resolve="other")
    elif point == "query":
        one.query("go", resolve="other").wait(10)
    else:
        one.tags.append("changed")
    assert take(answers) == [42]


def test_members_that_query_each_other_when_they_meet_both_get_answers(beacon_port):
    for _ in range(20):
        answers = queue.Queue()
        with ExitStack() as stack:
            for tag in ("one", "other"):
                cluster = Cluster()
                cluster.hook("query")(lambda question, tag=tag: tag)

                @cluster.hook("service.discovered")
                def ask(service, cluster=cluster, answers=answers):
                    found = cluster.query("x", services=[service]).wait(10)
                    answers.put([*found.values()])

                stack.enter_context(cluster.join([tag], port=beacon_port))
            assert sorted([take(answers), take(answers)]) == [["one"], ["other"]]


def test_queries_may_go_back_and_forth_five_deep(pair):
    for here, there in (pair, pair[::-1]):

        @here.hook("query")
        def respond(question, here=here, there=there):
            if question.data == 0:
                return [question.data]
            below = here.query(question.data - 1, resolve=there.tags[0]).wait(10)
            return [question.data, *next(iter(below.values()))]

    one, _ = pair
    assert list(one.query(5, resolve="other").wait(10).values()) == [[5, 4, 3, 2, 1, 0]]

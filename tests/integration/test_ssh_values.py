"""What travels to workers behind ssh and back: values as they are, classes that both ends know;
code and anything else where pickle was asked for; and what a worker needs that is no Python.
"""

import datetime
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import meshcluster
from tests.ssh import chores
from tests.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals"),
]

FAKE = pytest.mark.parametrize("way", ["fake"], indirect=True, scope="session")

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters(codec=None))
    | st.text(st.sampled_from("\r\n\0\x03\x04\x7f"))
    | st.binary()
    | st.binary().map(bytearray)
    | st.datetimes(timezones=st.none() | st.just(datetime.UTC))
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
)
KEYS = st.integers() | st.text() | st.binary() | st.tuples(st.integers(), st.text())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


def alike(one, other):
    """To the last bit, also what is no number."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, complex):
        return alike([one.real, one.imag], [other.real, other.imag])
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike([*one.items()], [*other.items()])
    return one == other


@FAKE
def test_sd_a8_values_come_back_as_they_went(far):
    dispatcher = far.dispatcher("w1")

    @settings(max_examples=150)
    @given(VALUES)
    def check(value):
        assert alike(dispatcher(["echo", value]).result(20), value)

    check()


def test_sd_a8_bytes_of_all_kinds_and_five_million_of_them(far, took):
    dispatcher = far.warmed("w1")
    every = bytes(range(256))
    for value in (every, every.decode("latin-1"), b"\r\n" * 3, "\r\n", 2**64 + 1, -(2**200)):
        assert alike(dispatcher(["echo", value]).result(20), value)
    five = every * (5_000_000 // 256)
    with took("five million bytes there and back in", 10):
        assert dispatcher(["echo", five]).result(20) == five


@FAKE
def test_sd_a8_what_is_one_object_stays_one(far):
    dispatcher = far.dispatcher("w1")
    shared, loop = [1], {}
    loop["self"] = [loop]
    one, two, back = dispatcher(["echo", [shared, {"again": shared}, loop]]).result(20)
    assert two["again"] is one
    assert back["self"][0] is back


def knowing(register):
    """A serializer that knows more."""
    serializer = meshcluster.Serializer()
    register(serializer)
    return serializer


@FAKE
def test_sd_a8_a_class_that_both_ends_know(far):
    dispatcher = far.dispatcher("w1", serializer=knowing(chores.register))
    pair = dispatcher(["echo", chores.Pair([1], 2)]).result(20)
    assert type(pair) is chores.Pair
    assert (pair.left, pair.right) == ([1], 2)
    node = chores.Node()
    node.itself = node
    back = dispatcher(["echo", node]).result(20)
    assert type(back) is chores.Node
    assert back is not node
    assert back.itself is back


@FAKE
def test_sd_a8_a_class_that_one_end_knows(far):
    def register(serializer):
        chores.register(serializer)
        serializer.register("stray", chores.Stray)

    dispatcher = far.dispatcher("w1", serializer=knowing(register))
    pid = dispatcher(["pid"]).result(20)
    with pytest.raises(meshcluster.EncodeError, match=r"^w1: .*type 'stray' is not registered"):
        dispatcher(["echo", chores.Stray()]).result(20)
    assert dispatcher(["pid"]).result(20) == pid


@FAKE
def test_sd_a8_a_class_that_nobody_knows(far):
    dispatcher = far.dispatcher("w1")
    with pytest.raises(meshcluster.EncodeError, match=r"\[1\]\['deep'\]\[2\].*Stray") as caught:
        dispatcher(["echo", {"deep": [0, 1, chores.Stray()]}])
    assert "register" in str(caught.value)
    pid = dispatcher(["pid"]).result(20)
    future = dispatcher(["stray"])
    with pytest.raises(meshcluster.EncodeError, match=r"^w1: the result: .*Stray"):
        future.result(20)
    assert [attempt.outcome for attempt in future.attempts] == ["raised"]
    assert dispatcher(["pid"]).result(20) == pid, "that task alone failed"


class Json:
    name = "json"

    @staticmethod
    def dumps(value):
        return json.dumps(value).encode()

    @staticmethod
    def loads(data):
        return json.loads(data)


def test_sd_18_a_worker_that_is_no_python(far):
    lines = []
    script = Path(chores.__file__).with_name("worker.sh")
    with meshcluster.Dispatcher(
        ["w1", "w2"], ssh=far.way.ssh, command=["sh", str(script)], serializer=Json(),
        attempts=2, on_log=lines.append,
    ) as dispatcher:  # fmt: skip
        words = [f"word {number}" for number in range(20)]
        futures = [dispatcher(word) for word in words]
        assert [future.result(20) for future in futures] == [word.upper() for word in words]
        assert sorted(line.text for line in lines) == sorted(f'asked "{word}"' for word in words)
        with pytest.raises(TypeError, match="no text"):
            dispatcher([1]).result(20)
        with pytest.raises(LookupError, match="this worker has one"):
            dispatcher.submit("os:getpid").result(20)
        with pytest.raises(meshcluster.WorkerLost, match=r"exit status 7 \(such is life\)"):
            dispatcher("die").result(20)
        assert dispatcher("well").result(20) == "WELL"
    until(lambda: far.clients == set())


@FAKE
def test_sd_18_a_worker_with_another_serializer_is_refused(far):
    script = Path(chores.__file__).with_name("worker.sh")
    with meshcluster.Dispatcher(
        ["w1"], ssh=far.way.ssh, command=["sh", str(script)]
    ) as dispatcher:  # fmt: skip
        with pytest.raises(meshcluster.NoWorkers, match="it speaks 'json', not '"):
            dispatcher("word").result(20)


PICKLES = """
import json, sys
import meshcluster

class Point:
    def __init__(self, x):
        self.x = x

    def more(self, by):
        return Point(self.x + by)

class Wrong(Exception):
    pass

def wrong(point):
    raise Wrong(point.x, "so wrong")

def area(of, height=2):
    return of.x * height

ssh, server = map(json.loads, sys.argv[1:])
told = []
with meshcluster.Dispatcher({"w1": server}, ssh=ssh, unsafe_pickle=True) as dispatcher:
    by = 40
    told.append(dispatcher.submit(lambda x: x + by, 2).result(20))
    point = dispatcher.submit(Point(1).more, 2).result(20)
    told += [type(point) is Point, point.x, dispatcher.submit(area, point, height=5).result(20)]
    told.append(list(dispatcher.map(lambda x, y: (x, y), "ab", (1, 2))))
    made = dispatcher.submit(lambda: lambda x: x * by).result(20)
    told.append(made(2))
    try:
        dispatcher.submit(wrong, point).result(20)
    except Wrong as error:
        told.append(error.args)
    kind = dispatcher.submit(lambda: Point).result(20)
    told.append(kind is Point)
    try:
        dispatcher.submit(lambda lock: 1, __import__("threading").Lock())
    except meshcluster.EncodeError as error:
        told.append("cannot pickle" in str(error))
print(json.dumps(told), flush=True)
"""


def test_pickles_take_lambdas_and_classes_of_the_main_program_both_ways(far, talk):
    caller = talk(PICKLES, json.dumps(far.way.ssh), json.dumps(far.server("w1")))
    assert caller.hear() == [
        42, True, 3, 15, [["a", 1], ["b", 2]], 80, [3, "so wrong"], True, True
    ]  # fmt: skip
    caller.ends()


@FAKE
def test_without_pickle_no_code_travels(far):
    dispatcher = far.dispatcher("w1")
    with pytest.raises(meshcluster.EncodeError, match="unsafe_pickle=True"):
        dispatcher.submit(lambda: 1)
    with pytest.raises(meshcluster.EncodeError, match="function, which cannot be sent"):
        dispatcher(["echo", lambda: 1])
    assert dispatcher.submit("chores:echo", 1).result(20) == 1


def test_members_are_never_sent_pickles(beacon_port):
    with meshcluster.join(name="caller", port=beacon_port) as cluster:
        with pytest.raises(meshcluster.ConfigError, match=r"unsafe_pickle=: members .* nothing is"):
            meshcluster.Dispatcher(cluster.live(), unsafe_pickle=True)


def other_python():
    """One of another minor version, from 3.9 on."""
    for minor in range(14, 8, -1):
        if minor == sys.version_info[1]:
            continue
        version = f"3.{minor}"
        kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        for candidate in (shutil.which(f"python{version}"), *kept):
            if candidate and not subprocess.run([candidate, "-c", ""], timeout=20).returncode:
                return str(candidate), version
    pytest.skip("there is no Python of another version here")


def test_pickles_need_one_python_at_both_ends():
    python, version = other_python()
    server = meshcluster.Server(python=python)
    with meshcluster.Dispatcher([server], unsafe_pickle=True) as dispatcher:
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        with pytest.raises(meshcluster.NoWorkers, match=f"Python {version} there and {here} here"):
            dispatcher.submit(abs, 1).result(30)
    with meshcluster.Dispatcher([server]) as dispatcher:
        assert dispatcher.submit("platform:python_version").result(30).startswith(version)

"""What ``AsyncCluster`` promises of exposing functions, of their arguments, and of call_all."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest

from meshcluster import (
    ArgumentError,
    AsyncCluster,
    CallsFailed,
    ConfigError,
    DecodeError,
    EncodeError,
    NotExposed,
    NotJoined,
    RemoteError,
)
from tests.waiting import eventually

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@dataclass
class Point:
    x: int
    y: float = 0.0


class Shape(msgspec.Struct):
    name: str
    corners: list[Point]
    made: datetime = NOW
    blob: bytes = b""


class Angle:
    def __init__(self, degrees):
        if type(degrees) is not int:
            raise ValueError("degrees are a number")
        self.degrees = degrees


class Arith:
    def add(self, a: int, b: int) -> int:
        """Not sent."""
        return a + b

    async def later(self, a: int) -> int:
        await asyncio.sleep(0)
        return a + 1


def echo(x):
    return x


# --- exposing --------------------------------------------------------------------------------


async def test_expose_is_a_decorator_with_and_without_arguments_and_gives_the_function_back(two):
    @two.server.expose
    def one():
        return 1

    @two.server.expose(name="second", idempotent=True)
    async def two_():
        return 2

    assert one() == 1
    assert await two_() == 2
    assert two.server.expose(echo, name="third") is echo
    await two.caller.wait_for_exposed("third")
    assert [await two.caller.call(name) for name in ("one", "second")] == [1, 2]
    assert list(two.caller.exposed) == ["one", "second", "third"]
    assert two.caller.exposed["one"] == two.caller.services
    assert two.server.exposed == {}


async def test_what_is_exposed_before_joining_is_there_when_one_is_met(join, beacon_port):
    early, caller = AsyncCluster(), await join()
    early.expose(Arith())
    async with early.join(port=beacon_port):
        await caller.wait_for_services()
        assert await caller.call("Arith.add", 1, 2) == 3


async def test_the_methods_of_an_object_are_called_by_its_classes_name(two):
    two.server.expose(Arith())
    two.server.expose(Arith(), name="Maths")
    await two.caller.wait_for_exposed("Maths.later")
    assert list(two.caller.exposed) == ["Arith.add", "Arith.later", "Maths.add", "Maths.later"]
    assert await two.caller.call("Maths.add", 1, b=2) == 3
    assert await two.caller.call("Arith.later", 1) == 2


@pytest.mark.parametrize(
    ("thing", "options"),
    [
        (echo, {"name": "taken"}), (5, {}), (Arith, {}), (lambda: 1, {}), (echo, {"limit": 0}),
        (echo, {"name": ""}), (echo, {"name": "a\n"}),
    ],
)  # fmt: skip
async def test_what_cannot_be_exposed_is_refused_and_nothing_changes(two, thing, options):
    await two.expose(echo, "taken")
    with pytest.raises(ConfigError):
        two.server.expose(thing, **options)
    assert await two.caller.call("taken", 1) == 1
    assert list(two.caller.exposed) == ["taken"]


async def test_of_an_object_all_methods_are_exposed_or_none(two):
    await two.expose(echo, "Arith.later")
    with pytest.raises(ConfigError, match=r"'Arith.later' is exposed already"):
        two.server.expose(Arith())
    assert list(two.caller.exposed) == ["Arith.later"]


async def test_a_member_and_another_may_expose_and_call_each_other_and_themselves_not(two, settled):
    await two.expose(echo)
    two.caller.expose(echo, name="back")
    await two.server.wait_for_exposed("back")
    assert await two.server.call("back", 1) == 1
    with pytest.raises(NotExposed):
        await two.server.call("echo", 1)


async def test_before_joining_nobody_can_be_called():
    cluster = AsyncCluster()
    for call in (lambda: cluster.go("f"), lambda: cluster.exposed):
        with pytest.raises(NotJoined):
            call()


# --- arguments and results -------------------------------------------------------------------


VALUES = [
    None, True, 1, -(2**63), 2**64 - 1, 1.5, "ü", b"\x00\xff", [], [1, [2, (3,)]], (),
    (1, "x"), {1: {"a": (b"", None)}}, {1, 2}, NOW, [NOW, {"when": (NOW,)}], float("inf"),
    "x" * 100_000,
]  # fmt: skip


async def test_plain_values_arrive_and_return_exactly(two):
    await two.expose(echo)
    for value in VALUES:
        back = await two.caller.call("echo", value)
        assert (back, type(back)) == (value, type(value))
        back = await two.caller.call("echo", x=[value])
        assert (back, type(back[0])) == ([value], type(value))


async def test_dataclasses_and_structs_arrive_by_annotation(two):
    got = []

    def move(shape: Shape, by: Point | None = None, *, more: dict[str, Point]) -> Shape:
        got.append((shape, by, more))
        return shape

    await two.expose(move)
    shape, more = Shape("s", [Point(1)], blob=b"\xff"), {"a": Point(3)}
    back = await two.caller.call("move", shape, Point(2), more=more)
    assert got == [(shape, Point(2), more)]
    assert back == {
        "name": "s", "corners": [{"x": 1, "y": 0.0}], "made": NOW, "blob": b"\xff",
    }  # fmt: skip
    assert await two.caller.call("move", shape, more={}, returns=Shape) == shape


async def test_a_result_that_is_not_what_the_caller_wants_is_refused(two):
    await two.expose(echo)
    for wanted, value in ((int, "x"), (Point, {"y": 1}), (list[Point], [{"x": "1"}])):
        with pytest.raises(DecodeError, match="the result of echo by server"):
            await two.caller.call("echo", value, returns=wanted)


async def test_a_result_that_is_not_what_the_function_says_never_leaves(two):
    def number() -> int:
        return "no number"

    async def numbers() -> list[int]:
        return [1, "two"]

    async def nothing() -> None:
        return 1

    for function in (number, numbers, nothing):
        await two.expose(function)
        with pytest.raises(RemoteError, match=f"TypeError: {function.__name__}: its result"):
            await two.caller.call(function.__name__)


async def test_a_result_that_cannot_be_sent_is_an_error_there(two):
    await two.expose(lambda: object(), "thing")
    with pytest.raises(RemoteError, match=r"a object cannot be sent.*register"):
        await two.caller.call("thing")
    await two.expose(lambda: "\ud800", "surrogate", in_loop=True)
    with pytest.raises(RemoteError, match="could not be sent"):
        await two.caller.call("surrogate")


@pytest.mark.parametrize("in_loop", [True, False], ids=["in loop", "on a thread"])
async def test_arguments_that_do_not_fit_are_refused_and_the_function_is_not_called(two, in_loop):
    called = []

    def add(a: int, b: int = 0, *rest: int, by: str = "x", **more: float) -> int:
        called.append(a)
        return a + b

    await two.expose(add, in_loop=in_loop)
    assert await two.caller.call("add", 1, 2, 3, by="y", f=1.5) == 3
    for args, named, field in [
        ((), {}, "a"), ((1,), {"a": 2}, "a"), (("1",), {}, "a"), ((1, None), {}, "b"),
        ((1, 2, "3"), {}, "rest"), ((1,), {"by": 2}, "by"), ((1,), {"other": "x"}, "other"),
    ]:  # fmt: skip
        with pytest.raises(ArgumentError) as caught:
            await two.caller.call("add", *args, **named)
        assert caught.value.field == field
        assert "add" in str(caught.value)
    assert called == [1]


async def test_what_only_the_called_can_judge_it_refuses_and_says_so(two):
    called = []

    def move(p: Point) -> Point:
        called.append(p)
        return p

    await two.expose(move)
    for wrong in ({"x": "1"}, {}, 5, None):
        with pytest.raises(ArgumentError, match=r"argument 'p'.*\(says server\)") as caught:
            await two.caller.call("move", wrong)
        assert caught.value.field == "p"
    assert called == []


async def test_what_cannot_be_sent_is_refused_at_once(two):
    await two.expose(echo)
    for wrong in (object(), [object()], "\ud800"):
        with pytest.raises(EncodeError):
            two.caller.go("echo", wrong)
    assert two.load == [0]


async def test_what_holds_itself_is_refused_at_both_ends(two):
    def around():
        value = []
        value.append(value)
        return value

    await two.expose(echo)
    await two.expose(around)
    with pytest.raises(EncodeError, match="holds itself"):
        await two.caller.call("echo", around())
    with pytest.raises(RemoteError, match="holds itself"):
        await two.caller.call("around")


# --- types of one's own ----------------------------------------------------------------------


def register(*clusters):
    for cluster in clusters:
        cluster.register(Angle, lambda angle: angle.degrees, Angle)


async def test_a_registered_type_travels_both_ways_and_inside_others(two):
    register(two.server, two.caller)

    def turn(angle: Angle, others: list[Angle] | None = None) -> Angle:
        return Angle(angle.degrees + sum(each.degrees for each in others or []))

    await two.expose(turn)
    back = await two.caller.call("turn", Angle(1), others=[Angle(2), Angle(3)])
    assert (type(back), back.degrees) == (Angle, 6)
    await two.expose(echo)
    back = await two.caller.call("echo", {"a": (Angle(1),)})
    assert back["a"][0].degrees == 1


async def test_a_type_that_is_registered_at_one_end_alone_is_refused(two):
    await two.expose(echo)
    await two.expose(lambda: Angle(1), "angle")
    with pytest.raises(EncodeError, match="register"):
        await two.caller.call("echo", Angle(1))
    register(two.caller)
    with pytest.raises(ArgumentError, match="not registered here"):
        await two.caller.call("echo", [Angle(1)])
    with pytest.raises(RemoteError, match="register"):
        await two.caller.call("angle")


async def test_a_result_of_a_type_that_the_caller_has_not_registered_is_refused(two):
    register(two.server)
    await two.expose(lambda: [Angle(1)], "angles")
    with pytest.raises(DecodeError, match="not registered here"):
        await two.caller.call("angles")


async def test_what_a_decoder_raises_refuses_the_call(two):
    register(two.server)
    two.caller.register(Angle, lambda angle: "no number", Angle)
    called = []
    await two.expose(called.append, "take")
    with pytest.raises(ArgumentError, match="degrees are a number"):
        await two.caller.call("take", Angle(1))
    assert called == []


async def test_what_a_decoder_raises_refuses_the_result(two):
    two.server.register(Angle, lambda angle: "no number", Angle)
    register(two.caller)
    await two.expose(lambda: Angle(1), "angle")
    with pytest.raises(DecodeError, match="degrees are a number"):
        await two.caller.call("angle")
    assert two.load == [0]


async def test_registering_is_refused_where_it_cannot_work():
    cluster = AsyncCluster()
    for kind, name in ((int, None), (5, None)):
        with pytest.raises(ConfigError):
            cluster.register(kind, str, str, name=name or "x")
    cluster.register(Angle, str, Angle)
    with pytest.raises(ConfigError):
        cluster.register(Point, str, Point, name="Angle")


# --- call_all --------------------------------------------------------------------------------


async def three(join, function, **settings):
    servers = [await join("odd" if n % 2 else "even", name=f"s{n}") for n in range(3)]
    for number, server in enumerate(servers):
        server.expose(function(number), name="f", **settings)
    caller = await join(name="caller")
    await caller.wait_for_exposed("f", 3)
    return caller, servers


async def test_call_all_has_the_result_of_each(join):
    caller, _ = await three(join, lambda number: lambda x: x * number)
    found = await caller.call_all("f", 10)
    assert {service.name: value for service, value in found.items()} == {
        "s0": 0,
        "s1": 10,
        "s2": 20,
    }
    found = await caller.call_all("f", 1, where="even")
    assert sorted(service.name for service in found) == ["s0", "s2"]


async def test_call_all_tells_what_failed_and_what_did_not(join):
    caller, _ = await three(join, lambda number: lambda x: x / number)
    with pytest.raises(CallsFailed, match="1 of 3 members gave no result") as caught:
        await caller.call_all("f", 10)
    assert {service.name: value for service, value in caught.value.results.items()} == {
        "s1": 10.0, "s2": 5.0,
    }  # fmt: skip
    ((service, error),) = caught.value.errors.items()
    assert (service.name, error.kind) == ("s0", "ZeroDivisionError")
    with pytest.raises(ExceptionGroup) as group:
        await caller.call_all("f", 10)
    assert group.group_contains(RemoteError)


async def test_call_all_refuses_what_nobody_takes(join):
    caller, _ = await three(join, lambda number: lambda x: x)
    with pytest.raises(ArgumentError):
        await caller.call_all("f")
    for name, where in (("g", None), ("f", "nobody")):
        with pytest.raises(NotExposed):
            await caller.call_all(name, 1, where=where)


async def test_call_all_cancelled_cancels_all(join):
    ended = []

    def slow(number):
        async def f():
            try:
                await asyncio.sleep(30)
            finally:
                ended.append(number)

        return f

    caller, _ = await three(join, slow)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(caller.call_all("f"), 0.2)
    await eventually(lambda: sorted(ended) == [0, 1, 2])


# --- wait_for_exposed ------------------------------------------------------------------------


async def test_those_who_expose_it_are_waited_for(two):
    waiting = asyncio.ensure_future(two.caller.wait_for_exposed("echo"))
    await asyncio.sleep(0)
    two.server.expose(echo)
    assert await waiting == two.caller.services
    with pytest.raises(TimeoutError, match=r"1 of 2 services that expose 'echo' after 0\.05 s"):
        await two.caller.wait_for_exposed("echo", 2, timeout=0.05)
    await two.caller.leave()
    with pytest.raises(NotJoined):
        await two.caller.wait_for_exposed("echo")


# --- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": -1}, {"timeout": "1"}, {"timeout": float("nan")}, {"retries": -1},
        {"retries": 1.5}, {"where": 5}, {"where": [5]}, {"where": [["a"]]}, {"where": ["a", 5]},
    ],
    ids=repr,
)  # fmt: skip
async def test_settings_that_cannot_work_are_refused(two, settings):
    await two.expose(echo)
    with pytest.raises(ConfigError):
        two.caller.go("echo", 1, **settings)
    assert two.load == [0]

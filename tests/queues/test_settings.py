"""What a queue may be opened with, what its items are, and how they become bytes and back."""

import dataclasses
import functools
import zlib
from datetime import datetime
from typing import Any, Literal

import msgspec
import pytest

from meshcluster.errors import ConfigError, DecodeError, EncodeError, MessageTooLarge
from meshcluster.queues.settings import LETTER_BYTES, Settings, describe
from meshcluster.rpc.values import Values

FLIP = (lambda data: bytes(255 - byte for byte in data),) * 2
ZIP = (zlib.compress, zlib.decompress)
SHORT = 8000


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0


class Route(msgspec.Struct):
    start: Point
    stops: list[Point]
    via: Point | None = None


class Own:
    def __init__(self, number):
        self.number = number


def settings(values=None, most=1 << 20, **given):
    return Settings(**given, values=values or Values(), most_bytes=lambda: most)


def back(made, value):
    return made.load(made.dump(value))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"mode": "some"}, "mode='some': one of one, all, key"),
        ({"mode": []}, "mode"),
        ({"policy": "fair"}, "policy='fair': one of ready, round_robin"),
        ({"policy": "round_robin", "mode": "all"}, "is for mode='one', not 'all'"),
        ({"policy": "round_robin", "mode": "key"}, "is for mode='one', not 'key'"),
        ({"bound": 0}, "bound=0"),
        ({"bound": True}, "bound=True"),
        ({"bound": 1.5}, "bound=1.5"),
        ({"max_deliveries": 0}, "max_deliveries=0"),
        ({"prefetch": 0}, "prefetch=0"),
        ({"prefetch": "4"}, "prefetch='4'"),
        ({"lease": 0.05}, "lease=0.05"),
        ({"lease": float("nan")}, "lease=nan"),
        ({"lease": 86401}, "lease=86401"),
        ({"lease": True}, "lease=True"),
        ({"codecs": [len]}, "codecs"),
        ({"codecs": [(len, None)]}, "codecs"),
        ({"codecs": [(len,)]}, "codecs"),
        ({"codecs": 5}, "codecs"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(given, says):
    with pytest.raises(ConfigError) as caught:
        settings(**given)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [None, 0, "text", b"\0\1", 1.5, [1, (2, {3})], {1: {"a": b"b"}}, datetime(2026, 1, 2), 1 << 80],
)
def test_any_value_comes_back_as_it_was(value):
    assert back(settings(), value) == value
    assert settings().load_result(settings().dump_result(value)) == value


def test_of_no_result_no_bytes_come():
    assert settings().load_result(None) is None


def test_an_item_is_of_the_queues_type_at_both_ends():
    made = settings(kind=int)
    assert back(made, 5) == 5
    with pytest.raises(TypeError, match="an item that is no int"):
        made.dump("5")
    with pytest.raises(DecodeError, match="an item that is no int"):
        made.load(settings().dump("5"))


def test_dataclasses_structs_and_generics_come_as_what_they_are():
    route = Route(Point(1), [Point(2, 0.5)])
    assert back(settings(kind=Point), Point(1)) == Point(1)
    assert back(settings(kind=Route), route) == route
    assert back(settings(kind=list[Point]), [Point(1)]) == [Point(1)]
    assert back(settings(kind=dict[str, int]), {"a": 1}) == {"a": 1}
    assert back(settings(kind=Point | None), None) is None
    assert back(settings(), Point(1)) == {"x": 1, "y": 0.0}
    with pytest.raises(TypeError):
        settings(kind=Point).dump({"x": "one"})
    with pytest.raises(TypeError):
        settings(kind=list[int]).dump(["one"])


def test_a_registered_type_comes_as_itself():
    values = Values()
    values.register(Own, lambda own: own.number, Own, "own")
    assert back(settings(values), [Own(5)])[0].number == 5
    assert back(settings(values, kind=Own), Own(6)).number == 6
    with pytest.raises(DecodeError, match="not registered"):
        settings().load(settings(values).dump(Own(5)))


def test_what_cannot_be_sent_is_refused_at_once():
    for value in (object(), Own(1), {"deep": [len]}):
        with pytest.raises(EncodeError):
            settings().dump(value)
    round_and_round = []
    round_and_round.append(round_and_round)
    with pytest.raises(EncodeError):
        settings().dump(round_and_round)


def test_an_item_has_the_size_of_a_message_at_most_and_room_for_what_is_around_it():
    made, longest = settings(most=SHORT), SHORT - LETTER_BYTES - len(settings().dump(b"")) - 1
    assert back(made, bytes(longest)) == bytes(longest)
    with pytest.raises(MessageTooLarge, match="an item of"):
        made.dump(bytes(longest + 2))
    with pytest.raises(MessageTooLarge):
        made.dump_result("x" * SHORT)
    zipped = settings(most=SHORT, codecs=[ZIP])
    assert back(zipped, bytes(10 * SHORT)) == bytes(10 * SHORT)


def test_codecs_are_unapplied_in_the_opposite_order():
    calls = []

    def codec(name):
        def step(what, data):
            calls.append(f"{what} {name}")
            return data

        return functools.partial(step, "encode"), functools.partial(step, "decode")

    assert back(settings(codecs=[codec("a"), codec("b")]), 1) == 1
    assert calls == ["encode a", "encode b", "decode b", "decode a"]
    assert back(settings(codecs=[ZIP, FLIP]), "text") == "text"


@pytest.mark.parametrize("codecs", [[], [ZIP], [FLIP], [FLIP, ZIP], [(bytes, str)]])
def test_other_codecs_are_noticed(codecs):
    data = settings(codecs=[ZIP, FLIP]).dump("text")
    with pytest.raises(DecodeError):
        settings(codecs=codecs).load(data)


def test_a_codec_that_gives_no_bytes_is_refused():
    with pytest.raises(EncodeError, match="gave bytearray, not bytes"):
        settings(codecs=[(bytearray, bytes)]).dump(1)


@pytest.mark.parametrize("data", [b"", b"\2\xff", b"\0", b"\0\xff", b"\xff", b"junk"])
def test_bytes_that_are_no_item_are_refused(data):
    with pytest.raises(DecodeError):
        settings().load(data)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (None, ""),
        (Any, ""),
        (object, ""),
        (int, "int"),
        (type(None), "None"),
        (list[str], "list[str]"),
        (dict[str, int | None], "dict[str, int | None]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Point, "Point(x: int, y: float)"),
        (Point | None, "Point(x: int, y: float) | None"),
        (Own, "Own"),
        (list[Point], "list"),
        (
            Route,
            "Route(start: Point(x: int, y: float), stops: list, via: Point(x: int, y: float) "
            "| None)",
        ),
    ],
)
def test_types_are_compared_as_words_that_are_the_same_everywhere(kind, text):
    assert settings(kind=kind).kind_text == text
    assert kind is None or describe(kind) == text


def test_a_dataclass_that_has_its_own_kind_inside_is_put_in_words():
    @dataclasses.dataclass
    class Node:
        value: int
        following: "Node | None" = None

    globals()["Node"] = Node
    try:
        assert describe(Node) == "Node(value: int, following: Node | None)"
    finally:
        del globals()["Node"]
    with pytest.raises(ConfigError, match="Node"):
        settings(kind=Node)

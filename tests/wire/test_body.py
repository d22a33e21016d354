"""Values arrive exactly as they were sent, or the send is refused and names the place."""

import enum
import math
import tracemalloc
from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from time import perf_counter
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from msgspec.msgpack import Ext

from meshcluster.errors import DecodeError, EncodeError
from meshcluster.wire import body
from meshcluster.wire.body import BYTES, EXTENDED, MAX_DEPTH, PLAIN, TEXT, TYPED, TYPED_DEPTH

packed = msgspec.msgpack.encode
thorough = settings(deadline=None, max_examples=300)


@dataclass
class Point:
    x: int
    y: int = 0


class Route(msgspec.Struct):
    start: Point
    stops: list[Point]


@dataclass
class Rich:
    price: Decimal
    id: UUID
    day: date
    flags: frozenset[str]


@dataclass
class Box:
    inside: object = None


@dataclass(frozen=True)
class Spot:
    x: int


def arrives(value):
    return body.decode(*body.encode(value))


def exactly(value):
    """A form that is equal only for the same types and values: -0.0, NaN, zones and all."""
    kind = type(value)
    if kind in (list, tuple):
        return kind, tuple(map(exactly, value))
    if kind is set:
        return kind, sorted(repr(exactly(item)) for item in value)
    if kind is dict:
        return kind, tuple((exactly(k), exactly(v)) for k, v in value.items())
    if kind is float:
        return kind, value.hex()
    if kind is datetime:
        zone = value.tzinfo
        clock = value.replace(tzinfo=None).isoformat()
        return kind, clock, value.fold, type(zone), str(zone), value.utcoffset()
    return kind, value


def assert_arrives_exactly(value):
    assert exactly(arrives(value)) == exactly(value)


offsets = some.timedeltas(
    timedelta(hours=-24, microseconds=1), timedelta(hours=24, microseconds=-1)
)
zones = some.none() | some.builds(timezone, offsets) | some.timezones()
datetimes = some.builds(
    lambda moment, fold: moment.replace(fold=fold),
    some.datetimes(timezones=zones),
    some.integers(0, 1),
)
leaves = some.one_of(
    some.none(),
    some.booleans(),
    some.integers(),
    some.integers(-(2**200), 2**200),
    some.floats(),
    some.text(),
    some.binary(),
    datetimes,
)
keys = some.recursive(leaves, lambda inner: some.lists(inner, max_size=3).map(tuple), max_leaves=4)
values = some.recursive(
    leaves,
    lambda inner: some.one_of(
        some.lists(inner, max_size=4),
        some.lists(inner, max_size=4).map(tuple),
        some.sets(keys, max_size=4),
        some.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=20,
)

# --- what arrives as it was ---


@thorough
@given(values)
@example(["", "\0", "🦊", "\U0010ffff", b"", b"\0\xff"])
@example([math.nan, math.inf, -math.inf, -0.0, 5e-324])
@example({-(2**63) - 1, -(2**63), 2**64 - 1, 2**64, -1, 0, 1 << 4000})
@example({None: 1, False: 2, 1.5: 3, b"k": 4, (1, ("x",)): 5, 2**64: 6, "": 7})
@example([(), [], {}, set(), ((),), [[]], {(): ()}])
@example(datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")))
@example(datetime(1, 1, 1, tzinfo=timezone(timedelta(seconds=-1, microseconds=1))))
def test_every_sendable_value_arrives_exactly(value):
    assert_arrives_exactly(value)


def test_a_body_is_the_same_for_every_version_1():
    assert body.encode(b"\0") == (1, b"\0")
    assert body.encode("é") == (2, b"\xc3\xa9")
    assert body.encode([1, {"a": None}]) == (3, b"\x92\1\x81\xa1a\xc0")
    assert body.encode((1,)) == (4, b"\xd5\1\x91\1")
    assert body.encode({1}) == (4, b"\xd5\2\x91\1")
    assert body.encode(-(2**64)) == (4, b"\xc7\x09\3\xff" + bytes(8))
    moment = datetime(2024, 10, 27, 2, 30, fold=1)
    told = [moment.isoformat(), 1, "", ""]
    assert body.encode(moment) == (4, packed(Ext(4, packed(told))))
    told[2:] = ["-5400000000", ""]
    aware = moment.replace(tzinfo=timezone(timedelta(hours=-1.5)))
    assert body.encode(aware) == (4, packed(Ext(4, packed(told))))
    told[2:] = ["", "Europe/Berlin"]
    aware = moment.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert body.encode(aware) == (4, packed(Ext(4, packed(told))))
    assert body.encode({(): 1}) == (4, packed(Ext(5, packed([[Ext(1, b"\x90"), 1]]))))
    assert body.encode(Point(1, 2)) == (5, b"\x82\xa1x\1\xa1y\2")


def test_common_values_take_the_short_way():
    assert body.encode({"rows": [[1, 2.5, "x", b"y", None, True]]})[0] == PLAIN


def test_a_list_of_the_greatest_depth_arrives():
    for kind in (list, tuple):
        value = kind()
        for _ in range(MAX_DEPTH - 1):
            value = kind([value])
        assert_arrives_exactly(value)


# --- what is refused at the send ---


class Color(enum.IntEnum):
    RED = 1


class Fixed(tzinfo):
    def utcoffset(self, moment):
        return timedelta(0)


class MyZone(ZoneInfo):
    pass


Pair = namedtuple("Pair", "x y")
SUBCLASSES = [type(f"My{kind.__name__}", (kind,), {}) for kind in (int, float, str, bytes, list)]
SUBCLASSES += [type(f"My{kind.__name__}", (kind,), {}) for kind in (dict, tuple, set)]
NOON = datetime(2024, 1, 1, 12)
UNSENDABLE = [
    bytearray(b"x"),
    memoryview(b"x"),
    frozenset({1}),
    Decimal("1.5"),
    Fraction(1, 2),
    UUID(int=1),
    date(2024, 1, 1),
    time(12),
    timedelta(1),
    Color.RED,
    Pair(1, 2),
    *(kind() for kind in SUBCLASSES),
    type("Moment", (datetime,), {})(2024, 1, 1),
    OrderedDict(),
    defaultdict(int),
    deque(),
    range(3),
    1j,
    object(),
    Point,
    ValueError("x"),
    len,
    iter(()),
]


@pytest.mark.parametrize("value", UNSENDABLE, ids=lambda value: type(value).__name__)
def test_what_would_arrive_as_something_else_is_refused_by_place_and_type(value):
    for data, place in [
        (value, "data is"),
        ({"a": [1, value]}, "data['a'][1] is"),
        ((1, value), "data[1] is"),
        ({(): {"b": value}}, "data[()]['b'] is"),
    ]:
        with pytest.raises(EncodeError) as caught:
            body.encode(data)
        assert f"{place} an object of class {type(value).__name__}," in str(caught.value)


@pytest.mark.parametrize(
    "value", [frozenset({1}), Color.RED, Decimal(1), Pair(1, 2), SUBCLASSES[2]("k")], ids=repr
)
def test_a_key_or_item_that_would_change_is_refused(value):
    for data in ({value: 1}, {value}, {(value,): 1}, {"a": {value}}):
        with pytest.raises(EncodeError, match="would not arrive"):
            body.encode(data)


@pytest.mark.parametrize(
    "zone",
    [Fixed(), MyZone("Europe/Berlin"), timezone(timedelta(hours=1), "CET")],
    ids=["tzinfo of one's own", "subclass of ZoneInfo", "named offset"],
)
def test_a_zone_that_would_not_arrive_is_refused(zone):
    with pytest.raises(EncodeError, match=r"data\[0\]"):
        body.encode([NOON.replace(tzinfo=zone)])


@pytest.mark.parametrize("data", [[Spot(1)], (Spot(1),), {"a": Spot(1)}, {Spot(1)}, {Spot(1): 1}])
def test_a_dataclass_inside_a_container_is_refused_for_it_would_arrive_as_a_dict(data):
    with pytest.raises(EncodeError, match="Spot"):
        body.encode(data)


def holding_itself(value, put):
    put(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        holding_itself([], lambda each: each.append(each)),
        holding_itself({}, lambda each: each.update(me=each)),
        holding_itself([()], lambda each: each.append((each,))),
        holding_itself(Box(), lambda each: setattr(each, "inside", each)),
        Box(holding_itself([], lambda each: each.append(each))),
    ],
    ids=["list", "dict", "tuple", "dataclass", "list in a dataclass"],
)
def test_what_holds_itself_is_refused(value):
    with pytest.raises(EncodeError):
        body.encode(value)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (v,), lambda v: {"k": v}])
def test_containers_nested_too_deep_are_refused(wrap):
    value = 1
    for _ in range(MAX_DEPTH + 1):
        value = wrap(value)
    with pytest.raises(EncodeError):
        body.encode(value)


@pytest.mark.parametrize("form", [PLAIN, EXTENDED])
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 300, 900])
def test_what_nobody_may_send_so_deep_is_refused_by_who_reads_it(form, levels):
    with pytest.raises(DecodeError, match="nested"):
        body.decode(form, b"\x91" * levels + b"\xc0")
    assert body.decode(form, b"\x91" * MAX_DEPTH + b"\xc0")


def test_extensions_count_as_the_containers_that_they_become():
    data = packed([1])
    for _ in range(MAX_DEPTH):
        data = packed(Ext(1, packed([Ext(1, data)]))) if len(data) < 3 else packed([Ext(1, data)])
    with pytest.raises(DecodeError):
        body.decode(EXTENDED, data)


def test_a_dataclass_may_be_deeper_but_not_so_deep_that_recursion_ends():
    deep = b"\x81\xa1n" * TYPED_DEPTH + b"\xc0"
    assert body.decode(TYPED, deep)
    with pytest.raises(DecodeError, match="nested"):
        body.decode(TYPED, b"\x81\xa1n" + deep)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("\ud800", "data"),
        (["", "a\udfff"], "data[1]"),
        ({"a": [("\ud800",)]}, "data['a'][0][0]"),
        ({"\ud800": 1}, "key"),
        ({(1, "\ud800"): 1}, "key"),
        ((2**64, "\ud800"), "data[1]"),
        (Box("\ud800"), "inside"),
    ],
    ids=ascii,
)
def test_a_lone_surrogate_is_refused_by_place(data, place):
    with pytest.raises(EncodeError) as caught:
        body.encode(data)
    assert place in str(caught.value)


@pytest.mark.parametrize("value", [1j, 2**64, object()], ids=["complex", "int", "object"])
def test_a_field_that_cannot_be_sent_is_named(value):
    with pytest.raises(EncodeError, match="inside"):
        body.encode(Box(value))


# --- dataclasses and Structs ---


@pytest.mark.parametrize(
    "value",
    [
        Point(1, 2),
        Route(Point(1), [Point(2, 3), Point(4)]),
        Rich(Decimal("1.50"), UUID(int=7), date(2024, 2, 29), frozenset({"a"})),
    ],
)
def test_a_typed_value_is_read_back_as_its_type(value):
    form, data = body.encode(value)
    assert form == TYPED
    assert body.read(form, data, type(value)) == value


def test_without_a_type_it_comes_as_the_dict_of_its_fields():
    assert arrives(Route(Point(1), [])) == {"start": {"x": 1, "y": 0}, "stops": []}


@pytest.mark.parametrize(
    ("value", "wanted", "read"),
    [
        ({"x": 1}, Point, Point(1)),
        ([{"x": 1}, {"x": 2}], list[Point], [Point(1), Point(2)]),
        (({"x": 1}, 2), tuple[Point, int], (Point(1), 2)),
        ({(1, 2): {3}}, dict[tuple[int, int], set[int]], {(1, 2): {3}}),
        ("text", str, "text"),
        (b"bytes", bytes, b"bytes"),
        (2**70, int, 2**70),
        (NOON, datetime, NOON),
    ],
)
def test_any_value_can_be_read_as_a_type(value, wanted, read):
    assert exactly(body.read(*body.encode(value), wanted)) == exactly(read)


@pytest.mark.parametrize("value", [{"x": "one"}, Box(1), {"x": (1,)}, (1, 2), "text", b"bytes", 5])
def test_what_does_not_fit_the_type_is_refused(value):
    with pytest.raises(DecodeError, match="Point"):
        body.read(*body.encode(value), Point)


def test_the_field_that_does_not_fit_is_named():
    with pytest.raises(DecodeError, match=r"stops\[1\]\.x"):
        body.read(*body.encode({"start": {"x": 1}, "stops": [{"x": 1}, {"x": None}]}), Route)


def test_a_time_zone_is_read_from_its_file_once():
    """A small body names dozens, and reading their files takes as long as thousands of values."""
    zones = [ZoneInfo(key) for key in sorted(available_timezones(), key=len)[:45]]
    form, data = body.encode([datetime(2024, 1, 1, tzinfo=zone) for zone in zones])
    first = body.decode(form, data)
    ZoneInfo.clear_cache()
    again = body.decode(form, data)
    assert [a.tzinfo for a in again] == [a.tzinfo for a in first]


# --- malformed bodies ---

forms = some.sampled_from([BYTES, TEXT, PLAIN, EXTENDED, TYPED])


@thorough
@given(forms, some.binary(max_size=60))
@example(PLAIN, packed(Ext(1, b"\x90")))
@example(PLAIN, packed([Ext(77, b"")]))
@example(TYPED, packed({"x": Ext(77, b"")}))
@example(EXTENDED, packed(Ext(1, packed([Ext(3, b"")]))))
def test_any_bytes_are_a_sendable_value_or_refused(form, data):
    try:
        value = body.decode(form, data)
    except DecodeError:
        return
    assert_arrives_exactly(value)


def wrapped(inner):
    """An extension that holds something: rarely what an encoder would put there."""
    codes = some.integers(-1, 6)
    told = some.tuples(
        some.sampled_from(["2024-01-01T12:00:00", "2024-01-01", "9999-12-31T23:59:59+24", ""]),
        some.integers(-1, 2),
        some.sampled_from(["", "0", "-5400000000", "x", "9" * 25]),
        some.sampled_from(["", "UTC", "Europe/Berlin", "..", "Europe", "\0"]),
    )
    held = inner.map(packed) | some.binary(max_size=12) | told.map(packed)
    return some.builds(Ext, codes, held)


hostile = some.recursive(
    some.none() | some.integers(-(2**63), 2**64 - 1) | some.floats() | some.text(max_size=5),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3),
        some.lists(some.lists(inner, min_size=2, max_size=2), max_size=3),
        some.dictionaries(some.text(max_size=3) | some.integers(0, 9), inner, max_size=3),
        wrapped(inner),
    ),
    max_leaves=15,
)


@settings(max_examples=600)
@given(hostile.map(packed))
def test_extensions_around_anything_are_a_sendable_value_or_refused(data):
    try:
        value = body.decode(EXTENDED, data)
    except DecodeError:
        return
    assert_arrives_exactly(value)


@pytest.mark.parametrize("form", [-1, 0, 6, 255])
def test_a_form_nobody_has_given_is_refused(form):
    with pytest.raises(DecodeError, match=f"form {form}"):
        body.decode(form, b"\xc0")
    with pytest.raises(DecodeError):
        body.read(form, b"\xc0", Point)


@pytest.mark.parametrize("form", [PLAIN, EXTENDED, TYPED])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xc0\xc0",
        b"\x91" * 1_000_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x81\x80\1",
        b"\xa1\xff",
    ],
    ids=["empty", "unused", "two", "deep", "many", "long", "odd key", "no UTF-8"],
)
def test_a_body_that_no_encoder_makes_is_refused(form, data):
    with pytest.raises(DecodeError):
        body.decode(form, data)


def nested(code, levels):
    data = packed([1])
    for _ in range(levels):
        data = packed(Ext(code, data))
    return data


@pytest.mark.parametrize(
    "data",
    [
        nested(1, 3000),
        packed(Ext(99, b"\x90")),
        packed(Ext(1, b"\xdd\xff\xff\xff\xff")),
        packed(Ext(1, packed("abc"))),
        packed(Ext(1, packed(5))),
        packed(Ext(2, packed([[1]]))),
        packed(Ext(2, packed({"a": 1}))),
        packed(Ext(5, packed(["ab"]))),
        packed(Ext(5, packed([[1]]))),
        packed(Ext(5, packed([[[], 1]]))),
        packed(Ext(4, packed([]))),
    ],
)
def test_an_extension_that_no_encoder_makes_is_refused(data):
    with pytest.raises(DecodeError):
        body.decode(EXTENDED, data)


@dataclass
class Told:
    """What travels of a datetime."""

    clock: str = "2024-01-01T12:00:00"
    fold: int = 0
    offset: str = ""
    zone: str = ""
    rest: list[object] = field(default_factory=list)

    def as_body(self):
        told = [self.clock, self.fold, self.offset, self.zone, *self.rest]
        return packed(Ext(4, packed(told)))


@pytest.mark.parametrize(
    "told",
    [
        Told(clock="yesterday"),
        Told(fold=2),
        Told(offset="soon"),
        Told(offset="9" * 5000),
        Told(offset="86400000000"),
        Told(zone="No/Where"),
        Told(zone="../../../etc/passwd"),
        Told(zone="/etc/passwd"),
        Told(zone="America"),
        Told(zone="a\0b"),
        Told(zone="x" * 5000),
        Told(rest=["more"]),
    ],
)
def test_a_time_that_no_encoder_makes_is_refused(told):
    assert body.decode(EXTENDED, Told().as_body()) == NOON
    with pytest.raises(DecodeError):
        body.decode(EXTENDED, told.as_body())


def extensions(levels):
    """Tuples in tuples."""
    data = b"\x90"
    for level in range(levels):
        inside = data if level == 0 else b"\x91" + data
        data = b"\xc9" + len(inside).to_bytes(4, "big") + b"\1" + inside
    return data


@pytest.mark.parametrize(
    ("form", "hostile"),
    [
        (PLAIN, b"\x91" * 2**24),
        (PLAIN, b"\x81\0" * 2**23),
        (EXTENDED, b"\x91" * 2**24),
        (EXTENDED, extensions(3000)),
        (PLAIN, b"\xdd\xff\xff\xff\xff"),
        (PLAIN, b"\xdf\xff\xff\xff\xff\0"),
        (PLAIN, b"\xc6\xff\xff\xff\xff\0"),
    ],
    ids=["lists", "maps", "lists with tuples", "tuples", "long list", "long map", "long bytes"],
)
def test_what_is_nested_for_ever_or_claims_to_be_huge_is_refused_at_once(form, hostile):
    tracemalloc.start()
    begun = perf_counter()
    with pytest.raises(DecodeError):
        body.decode(form, hostile)
    seconds = perf_counter() - begun
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20, "a declared length allocates nothing"
    assert seconds < 1.0

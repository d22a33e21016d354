"""Values come back exactly, with what they share; bytes that are none do nothing."""

import math
import random
import sys
import time
import tracemalloc
from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshcluster.ssh.far.serializer import NAME, SHARED_BYTES, Serializer, Unserializable


def exact(value, met=None):
    """All that can be told of a value: types, bits of floats, and what is one object."""
    met = {} if met is None else met
    kind = type(value)
    if kind is float:
        return "float", str(value) if math.isnan(value) else value.hex()
    if kind in (list, tuple, dict, bytearray):
        if id(value) in met:
            return "again", met[id(value)]
        met[id(value)] = len(met)
    if kind in (list, tuple):
        return kind.__name__, [exact(each, met) for each in value]
    if kind is dict:
        return "dict", [(exact(key, met), exact(item, met)) for key, item in value.items()]
    if kind in (set, frozenset):
        return kind.__name__, sorted(repr(exact(each)) for each in value)
    return kind.__name__, value


def there_and_back(value, *registered):
    serializers = [Serializer(), Serializer()]
    for serializer in serializers:
        for each in registered:
            serializer.register(*each) if isinstance(each, tuple) else each(serializer)
    return serializers[1].loads(serializers[0].dumps(value))


ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(1 << 200), max_value=1 << 200)
    | st.floats()
    | st.text(st.characters(), max_size=50)  # lone surrogates, too
    | st.binary(max_size=50)
)
KEYS = st.recursive(
    ATOMS, lambda part: st.tuples(part, part) | st.frozensets(part, max_size=3), max_leaves=6
)
VALUES = st.recursive(
    ATOMS | st.binary(max_size=50).map(bytearray),
    lambda part: (
        st.lists(part, max_size=5)
        | st.tuples(part, part)
        | st.dictionaries(KEYS, part, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        | part.map(lambda one: [one, (one, one), {"": one}])  # it is one object thrice
    ),
    max_leaves=25,
)


# --- what comes back ----------------------------------------------------------------------------


@given(VALUES)
@example([2**64, -(2**64), 2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 10**5000])
@example([math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 0.1 + 0.2])
@example(["".join(map(chr, range(256))), bytes(range(256)), "\r\n", "\ud800", "\udfff\ud800\udc00"])
@example([True, 1, 1.0, False, 0, -0.0, None])
def test_a_value_comes_back_exactly(value):
    assert exact(there_and_back(value)) == exact(value)


def test_millions_of_bytes_come_back():
    data = random.Random(5).randbytes(5_000_000)
    assert there_and_back([data, bytearray(data), data.decode("latin-1")]) == [
        data,
        bytearray(data),
        data.decode("latin-1"),
    ]


@pytest.mark.parametrize(
    "shared",
    [[], {}, set(), bytearray(b"x"), (1, []), frozenset([1]), "x" * SHARED_BYTES, b"x" * 99],
    ids=lambda shared: type(shared).__name__,
)
def test_an_object_that_is_there_twice_is_one_object(shared):
    first, other, third = there_and_back([shared, (shared,), {1: shared}])
    assert first is other[0] is third[1]


def test_equal_objects_stay_apart():
    first, other = there_and_back([[1], [1]])
    assert first == other
    assert first is not other


def test_a_long_text_is_written_once():
    text = "x" * 10_000
    assert len(Serializer().dumps([text] * 100)) < 11_000


def test_a_tuple_that_is_a_key_and_a_value_is_one_object():
    pair = (1, "two")
    made = there_and_back([{pair: pair}, {pair}, frozenset([pair])])
    assert next(iter(made[0])) is made[0][pair] is next(iter(made[1])) is next(iter(made[2]))


def test_what_comes_after_a_shared_object_is_found_in_its_place():
    """Numbers are given in one order at both ends, whatever is within what."""
    one, two, three = [1], (2, [2]), frozenset([3, (4,)])
    value = [(one, two), {"a": two}, three, [three, two, one], two[1]]
    made = there_and_back(value)
    assert exact(made) == exact(value)
    assert made[3][0] is made[2]
    assert made[4] is made[0][1][1]


def test_a_list_that_holds_itself():
    value = []
    value.append(value)
    made = there_and_back(value)
    assert made[0] is made


def test_a_dict_that_holds_itself():
    value = {}
    value["me"] = [value]
    made = there_and_back(value)
    assert made["me"][0] is made


def test_a_tuple_that_holds_itself_through_a_list():
    value = ([], [], "after")
    value[0].append(value)
    value[1].append(value)
    made = there_and_back([value, value])
    assert made[0] is made[1]
    assert made[0][0][0] is made[0][1][0] is made[0]
    assert made[0][2] == "after"
    assert [type(each) for each in made[0]] == [list, list, str]


def test_tuples_that_hold_each_other():
    one, other = ([],), ([],)
    one[0].append(other)
    other[0].append(one)
    made = there_and_back(one)
    assert made[0][0][0][0] is made
    assert made[0][0] is not made


class Node:
    """Has attributes, and is itself alone."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


def test_a_set_that_holds_itself_through_an_object():
    node = Node()
    node.members = {node}
    made = there_and_back(node, ("node", Node))
    assert next(iter(made.members)) is made


def test_a_frozenset_that_holds_itself_through_an_object():
    node = Node()
    node.members = frozenset([node])
    made = there_and_back([node.members, node.members], ("node", Node))
    assert made[0] is made[1]
    (back,) = made[0]
    assert back.members is made[0]


def test_a_tuple_that_holds_itself_through_an_object_is_a_key():
    node = Node()
    node.key = (node, 1)
    made = there_and_back({node.key: node}, ("node", Node))
    ((key, back),) = made.items()
    assert back.key is key
    assert key[0] is back


def test_what_is_nested_too_deeply_is_refused_and_not_the_end():
    value = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(Unserializable, match="nested too deeply"):
        Serializer().dumps(value)
    with pytest.raises(Unserializable, match="nested too deeply"):
        Serializer().loads(b"l\0\0\0\1" * 100_000 + b"N")
    while value:  # else their end is one of too deep a recursion
        value = value[0]


# --- types of users -----------------------------------------------------------------------------


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


@dataclass(frozen=True)
class Frozen:
    name: str
    more: object = None


class Halves:
    __slots__ = ("left", "right")


class Failure(Exception):
    def __init__(self, text, code):
        super().__init__(text, code)
        self.code = code


def test_a_class_without_hooks_travels_with_its_attributes():
    made, again = there_and_back(
        [Point(1, [2]), Frozen("a", Point(3, 4))], ("p", Point), ("f", Frozen)
    )
    assert (type(made), vars(made)) == (Point, {"x": 1, "y": [2]})
    assert (type(again), again.name, again.more.y) == (Frozen, "a", 4)


def test_decode_makes_an_object_of_what_encode_made():
    one = Point(1, 2)
    made = there_and_back(
        [one, one], ("p", Point, lambda p: (p.x, p.y), lambda state: Point(*state))
    )
    assert (made[0].x, made[0].y) == (1, 2)
    assert made[0] is made[1]


def test_decode_alone_is_given_the_attributes():
    made = there_and_back(Frozen("a"), ("f", Frozen, None, lambda state: Frozen(**state)))
    assert made == Frozen("a")


def test_fill_is_given_an_object_that_may_hold_itself():
    def fill(made, state):
        made.left, made.right = state

    def register(serializer):
        serializer.register("halves", Halves, lambda h: (h.left, h.right), fill=fill)

    halves = Halves()
    halves.left, halves.right = halves, "right"
    made = there_and_back(halves, register)
    assert made.left is made
    assert made.right == "right"


def test_decode_cannot_make_what_holds_itself():
    point = Point(1, 2)
    point.x = [point]
    with pytest.raises(Unserializable, match="give fill="):
        there_and_back(point, ("p", Point, None, lambda state: Point(**state)))


def test_an_exception_keeps_its_arguments_and_attributes():
    failure = Failure("broken", 7)
    failure.place = failure
    made = there_and_back(failure, ("failure", Failure))
    assert (type(made), made.args, made.code) == (Failure, ("broken", 7), 7)
    assert made.place is made


def test_a_hook_that_makes_new_objects_each_time_mixes_none_up():
    """What an encoder makes is gone soon, and its place in memory another's."""
    points = [Point(number, number) for number in range(1000)]
    made = there_and_back(
        points, ("p", Point, lambda p: [p.x, [p.y]], lambda state: Point(state[0], state[1][0]))
    )
    assert [(each.x, each.y) for each in made] == [(number, number) for number in range(1000)]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Halves, "more than attributes"),
        (type("Rows", (list,), {}), "more than attributes"),
        (namedtuple("Pair", "a b"), "more than attributes"),
        (type("Missing", (OSError,), {}), "more than attributes"),
        (list, "registered already"),
        (complex, "registered already"),
    ],
)
def test_a_class_that_would_lose_something_needs_hooks(kind, why):
    with pytest.raises(ValueError, match=why):
        Serializer().register("name", kind)


def test_a_name_and_a_class_are_registered_once_with_one_way_back():
    serializer = Serializer()
    serializer.register("p", Point)
    with pytest.raises(ValueError, match="registered already"):
        serializer.register("p", Frozen)
    with pytest.raises(ValueError, match="registered already"):
        serializer.register("q", Point)
    with pytest.raises(ValueError, match="not both"):
        serializer.register("f", Frozen, decode=Frozen, fill=setattr)


def test_both_ends_can_compare_what_they_know():
    serializer = Serializer()
    serializer.register("p", Point)
    assert set(serializer.types) - set(Serializer().types) == {"p"}
    assert serializer.types == sorted(serializer.types)
    assert serializer.name == NAME


# --- what cannot travel -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (object(), "value: "),
        ([1, object()], "value[1]: "),
        ({"a": [0, {"b": (object(),)}]}, "value['a'][1]['b'][0]: "),
        ({10**5000: object()}, "value[int]: "),
        ([Frozen("x", object())], "value[0].<f>['more']: "),
    ],
    ids=["itself", "list", "deep", "a key that cannot be shown", "object"],
)
def test_what_cannot_travel_is_named_with_its_place(value, place):
    serializer = Serializer()
    serializer.register("f", Frozen)
    with pytest.raises(Unserializable) as caught:
        serializer.dumps(value)
    assert str(caught.value).startswith(place + "of type object, which cannot be sent")
    assert "register(name, object)" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1),
        type("Text", (str,), {})("x"),
        type("Whole", (int,), {})(1),
        type("Items", (list,), {})([1]),
        type("Bytes", (bytes,), {})(b""),
        namedtuple("Pair", "a b")(1, 2),
        range(3),
        memoryview(b"x"),
        len,
        int,
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_subclasses_too(value):
    with pytest.raises(Unserializable, match=f"of type {type(value).__name__}"):
        Serializer().dumps({"it": value})


def test_a_type_that_the_other_end_does_not_know_is_refused_there():
    serializer = Serializer()
    serializer.register("point", Point)
    data = serializer.dumps(Point(1, 2))
    with pytest.raises(Unserializable, match="'point' is not registered at this end"):
        Serializer().loads(data)


def test_hooks_that_raise_are_named():
    def refuse(_):
        raise KeyError("no")

    serializer = Serializer()
    serializer.register("p", Point, refuse, refuse)
    serializer.register("f", Frozen, lambda f: f.name, refuse)
    with pytest.raises(Unserializable, match=r"value\[0\]: p: encode raised KeyError\('no'\)"):
        serializer.dumps([Point(1, 2)])
    data = serializer.dumps(Frozen("x"))
    with pytest.raises(Unserializable, match=r"f: decode raised KeyError\('no'\)"):
        serializer.loads(data)


class Unshown(Exception):
    def __repr__(self):
        raise LookupError("not even this")


def test_a_hook_may_raise_what_cannot_be_shown():
    def refuse(_):
        raise Unshown

    serializer = Serializer()
    serializer.register("p", Point, refuse)
    with pytest.raises(Unserializable, match="p: encode raised Unshown"):
        serializer.dumps(Point(1, 2))


class Named:
    """Is equal by its name, which it has not while it is being made."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return self.name == other.name


def test_an_object_that_is_hashed_before_it_is_there_is_refused():
    named = Named("x")
    named.group = {named}
    serializer = Serializer()
    serializer.register("named", Named)
    with pytest.raises(Unserializable, match="AttributeError"):
        serializer.loads(serializer.dumps(named))


@pytest.mark.parametrize("add", [list.append, set.add, lambda value, one: value.update({one: 1})])
def test_what_changes_while_it_is_written_is_refused(add):
    value = {list.append: [], set.add: set()}.get(add, {})

    def grow(_):
        if len(value) < 9:
            add(value, len(value))

    serializer = Serializer()
    serializer.register("p", Point, grow)
    add(value, Point(1, 2))
    with pytest.raises(Unserializable, match="changed"):
        serializer.dumps(value)


# --- bytes that are no value --------------------------------------------------------------------


def knowing():
    serializer = Serializer()
    serializer.register("p", Point)
    serializer.register("f", Frozen, None, lambda state: Frozen(**state))
    serializer.register("named", Named)
    serializer.register("failure", Failure)
    return serializer


def sample():
    import datetime
    import decimal
    import fractions
    import uuid

    pair = (1, "x" * 40)
    point = Point([pair], {pair: b"y" * 40})
    point.x.append(point)
    loop = ([],)
    loop[0].append(loop)
    return [
        None, True, -5, 2**80, 1.5, 2j, "text", b"bytes", bytearray(b"array"), pair, point, loop,
        {1, (2, pair)}, frozenset([pair, frozenset([3])]), Frozen("n"), Named("m"),
        Failure("a", 1), decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.UUID(int=5),
        datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), datetime.time(1),
        datetime.date(2020, 1, 1), datetime.timedelta(1), datetime.UTC,
    ]  # fmt: skip


def loads(serializer, data):
    """Whether it is a value. Nothing but ``Unserializable`` may come out."""
    try:
        serializer.loads(data)
    except Unserializable as error:
        str(error)
        return False
    return True


def test_a_value_that_is_cut_anywhere_is_refused():
    serializer = knowing()
    data = serializer.dumps(sample())
    assert not [end for end in range(len(data)) if loads(serializer, data[:end])]
    assert loads(serializer, data)
    assert not loads(serializer, data + b"N")


def test_damaged_values_are_refused_or_other_values():
    serializer, chance = knowing(), random.Random(14)
    data = serializer.dumps(sample())
    refused = 0
    for _ in range(5_000):
        damaged = bytearray(data)
        for _ in range(chance.choice((1, 1, 2, 10))):
            at = chance.randrange(len(damaged))
            how = chance.randrange(4)
            if how == 0:
                damaged[at] = chance.randrange(256)
            elif how == 1:
                damaged[at : at + 1] = chance.choice(b"NTFiIfsSbBaludtzorx").to_bytes(1, "big")
            elif how == 2:
                del damaged[at : at + chance.randrange(9)]
            else:
                start = chance.randrange(len(damaged))
                damaged[at:at] = damaged[start : start + chance.randrange(30)]
        refused += not loads(serializer, bytes(damaged))
    assert 1_000 < refused


@given(st.lists(st.sampled_from([bytes([each]) for each in b"NTFiIfsSbBaludtzorx\0\0\0\1\2"])))
def test_bytes_of_our_own_alphabet_are_refused_or_values(words):
    loads(knowing(), b"".join(words))


@given(st.binary())
def test_any_bytes_are_refused_or_values(data):
    loads(knowing(), data)


@pytest.mark.parametrize("tag", b"IsSbBaludtzo")
def test_a_length_that_lies_takes_no_memory(tag):
    tracemalloc.start()
    try:
        assert not loads(Serializer(), bytes([tag]) + b"\xff\xff\xff\xff" + b"N" * 1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def number(value):
    return value.to_bytes(4, "big")


def doubled(times, first):
    """A tuple of twice the same tuple of twice the same tuple, and so on; of 16 bytes each. The
    innermost is the object number ``first``.
    """
    key = b"t" + number(0)
    for place in range(first, first + times):
        key = b"t" + number(2) + key + b"r" + number(place)
    return key


@pytest.mark.parametrize(
    "holder", [b"d" + number(1), b"u" + number(1), b"z" + number(1), b"l" + number(1)]
)
def test_a_key_that_would_be_hashed_for_ever_is_refused(holder):
    began = time.monotonic()
    data = holder + doubled(60, 0 if holder[:1] == b"z" else 1)
    if holder[:1] == b"l":
        assert len(Serializer().loads(data)[0]) == 2  # nothing hashes it
    else:
        with pytest.raises(Unserializable, match="too many items"):
            Serializer().loads(data + b"N" * (holder[:1] == b"d"))
    assert time.monotonic() - began < 10


def test_keys_that_are_large_tuples_come_back():
    value = {tuple(range(10_000)): 1, (tuple(range(10_000)), "x"): 2}
    assert there_and_back(value) == value


@pytest.mark.parametrize(
    "data",
    [
        b"r\0\0\0\0",  # what was never met
        b"l\0\0\0\1r\0\0\0\5",
        b"t\0\0\0\1r\0\0\0\0",  # a tuple within itself before it is there
        b"u\0\0\0\1r\0\0\0\0",  # a set within itself
        b"d\0\0\0\1l\0\0\0\0N",  # a list as a key
        b"o\0\0\0\0\0\0\0\0",
        b"x\0\0\0\7decimalN",
        b"x\0\0\0\7unknownN",
        b"s\0\0\0\1\xff",
        b"\xff",
        b"",
    ],
)
def test_bytes_that_mean_nothing_are_refused(data):
    assert not loads(Serializer(), data)


def test_nothing_is_looked_up_by_a_name_that_comes():
    """A name finds what was registered, and no module and no class."""
    before = set(sys.modules)
    for name in (b"os:system", b"builtins.eval", b"antigravity"):
        assert not loads(Serializer(), b"x" + number(len(name)) + name + b"s\0\0\0\1x")
    assert set(sys.modules) == before

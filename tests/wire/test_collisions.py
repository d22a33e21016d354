"""What collides is refused before it is decoded; whatever else is large is not."""

import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from msgspec import msgpack
from msgspec.msgpack import Ext

from meshcluster.errors import DecodeError
from meshcluster.model import Endpoint
from meshcluster.wire import body, codec
from meshcluster.wire.body import EXTENDED, PLAIN, TYPED
from meshcluster.wire.frames import Describe, Details

MANY = 6000
PIECES = [
    b"\x91",
    b"\x92",
    b"\x81",
    b"\x82",
    b"\x90",
    b"\x80",
    b"\1",
    b"\xa1a",
    b"\xd4\1\x90",
    b"\xd4\2\x90",
]
MODULUS = 2**61 - 1
"""Of the hash of numbers."""


def colliding_map(count=MANY):
    keys = itertools.islice(itertools.product((-1, -2), repeat=14), count)
    packed = b"".join(msgpack.encode(key) + b"\1" for key in keys)
    return b"\xdf" + count.to_bytes(4, "big") + packed


def large(count=MANY):
    return [Ext(3, (number * MODULUS).to_bytes(12, "big")) for number in range(count)]


@pytest.mark.parametrize(
    ("form", "data"),
    [
        (PLAIN, colliding_map()),
        (TYPED, colliding_map()),
        (PLAIN, b"\x92\x01\x81\xa1a" + colliding_map()),
        (EXTENDED, msgpack.encode(Ext(2, msgpack.encode([*range(2 * MANY), *large()])))),
        (EXTENDED, msgpack.encode([Ext(1, b"\x91" + colliding_map())])),
        (EXTENDED, msgpack.encode(Ext(2, msgpack.encode(large())))),
        (EXTENDED, msgpack.encode(Ext(5, msgpack.encode([[key, 1] for key in large()])))),
    ],
    ids=["map", "of a dataclass", "nested", "among others", "in a tuple", "set", "pairs"],
)
def test_keys_that_were_chosen_to_collide_are_refused(form, data):
    with pytest.raises(DecodeError, match="collide"):
        body.decode(form, data)


@dataclass
class Grid:
    cells: dict[tuple[int, ...], int] = field(default_factory=dict)


def test_they_are_refused_where_a_type_asks_for_them():
    with pytest.raises(DecodeError, match="collide"):
        body.read(TYPED, b"\x81\xa5cells" + colliding_map(), Grid)
    cells = {(x, y): x for x in range(-100, 100) for y in range(50)}
    assert body.read(*body.encode(Grid(cells)), Grid) == Grid(cells)


@pytest.mark.parametrize("form", [PLAIN, EXTENDED, TYPED])
@pytest.mark.parametrize(
    "data",
    [
        b"\xdf\xff\xff\xff\xff" + b"\x91\1" * 90_000,
        b"\xdd\xff\xff\xff\xff" + b"\x91\1" * 90_000,
        b"\xdf\0\0\x10\0" + b"\x91\x91\x80\1" * 90_000,
        b"\x91" * 90_000,
        b"\x92" * 90_000,
        b"\x91\xdd" * 90_000,
        b"\xde\xff\xff" * 90_000,
    ],
)
def test_what_is_malformed_and_large_is_refused(form, data):
    with pytest.raises(DecodeError):
        body.decode(form, data)
    with pytest.raises(DecodeError):
        body.read(form, data, Grid)
    with pytest.raises(DecodeError):
        codec.decode_frame(data)
    with pytest.raises(DecodeError):
        codec.decode_frame(b"\x92\7" + data)


@settings(max_examples=60)
@given(some.lists(some.binary(max_size=3) | some.sampled_from(PIECES), min_size=1, max_size=6))
def test_large_bodies_of_any_pieces_are_read_or_refused(pieces):
    data = b"".join(pieces) or b"\0"
    times = 70_000 // len(data) + 1
    for head in (b"\xdd", b"\xdf"):
        for form in (PLAIN, EXTENDED):
            try:
                body.decode(form, head + times.to_bytes(4, "big") + data * times)
            except DecodeError:
                pass


def test_keys_inside_keys_are_no_trouble():
    keys = [((x, (y,)), ((),)) for x in range(80) for y in range(80)]
    packed = b"".join(msgpack.encode(key) + b"\1" for key in keys)
    assert body.decode(PLAIN, b"\xde" + len(keys).to_bytes(2, "big") + packed) == dict.fromkeys(
        keys, 1
    )


def test_a_few_that_collide_harm_nobody():
    assert len(body.decode(PLAIN, colliding_map(200) + b"")) == 200


@pytest.mark.parametrize(
    "value",
    [
        {(x, y) for x in range(-50, 50) for y in range(50)},
        {(x, y): [x, {"of": y}] for x in range(50) for y in range(50)},
        {2**70 + x for x in range(5000)},
        [[x / 7, [x, {"name": str(x)}]] for x in range(5000)],
        {str(x): [x] for x in range(5000)},
    ],
)
def test_large_values_of_honest_members_arrive(value):
    assert body.decode(*body.encode(value)) == value


def test_props_are_looked_into_as_well():
    details = Details(1, "n", "h", (), (Endpoint("tcp", {}),), {"deep": 77}, 1, 1.0)
    frame = codec.encode_frame(Describe(details))
    with pytest.raises(DecodeError, match="collide"):
        codec.decode_frame(frame.replace(b"\xa4deep\x4d", b"\xa4deep" + colliding_map()))

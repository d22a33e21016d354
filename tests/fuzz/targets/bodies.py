"""Users' values: what hooks read of a message, untyped and typed. First byte: form and type."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from meshcluster.wire import body

from ..dialects import LIES, Dialect, items, wrapped
from ..target import Target


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0
    tags: set[str] = dataclasses.field(default_factory=set)


class Route(msgspec.Struct):
    start: Point
    stops: list[Point] = []
    when: datetime | None = None
    by: dict[str, bytes] | None = None


TYPES = (None, int, str, Point, Route, list[Route], dict[int, tuple[str, ...]], set[int] | None)
ZONES = sorted(available_timezones(), key=lambda key: (len(key), key))[:30]
VALUES = (
    b"bytes", "text é🦊", 1, -(2**70), 2**64 - 1, 1.5, None, True, [], {}, [1, [2, [3, [4]]]],
    {"a": 1, "b": [1.5, None, b"x"]}, (1, "two", (3,)), {1, 2, "three", (4, 5)},
    {(1, 2): {"k": {3}}},
    {1: ("a", "b"), 2**70: "large"}, [(1, {2: {(3,): [4]}})], Point(1, 2.5, {"a"}),
    Route(Point(1), [Point(2), Point(3)], datetime(2024, 1, 1, tzinfo=UTC), {"k": b"v"}),
    datetime(2024, 1, 2, 3, 4, 5, 6), datetime(2024, 10, 27, 2, 30,
    tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-5, microseconds=7))),
    [datetime(2024, 1, 1, tzinfo=ZoneInfo(key)) for key in ZONES],
    [datetime(2024, 1, 1, tzinfo=UTC), (datetime(1, 1, 1), {datetime(9999, 12, 31)})],
)  # fmt: skip


def read(data: bytes) -> object:
    """What a sendable value is, is sent on as it came."""
    first, inside = data[0] if data else 0, data[1:]
    wanted = TYPES[(first >> 3) % len(TYPES)]
    form = first & 7
    if wanted is not None:
        return body.read(form, inside, wanted)
    value = body.decode(form, inside)
    if len(inside) < 64:
        assert type(body.decode(*body.encode(value))) is type(value)
    return value


def seeds() -> list[bytes]:
    made = []
    for value in VALUES:
        form, data = body.encode(value)
        made += [bytes([form | kind << 3]) + data for kind in (0, 1 + len(made) % 7)]
    return made


TARGETS = (
    Target(
        "body", "`body.decode` of every form, sent on as it came, and `body.read` with types",
        lambda: read, seeds, Dialect(lambda data: items(data, 1), LIES, wrapped), limit_bytes=2048,
        costs=2,
    ),
)  # fmt: skip

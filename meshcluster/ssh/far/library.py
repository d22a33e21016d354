"""Types of Python's own library that travel: what each is made of, and how it is made of that."""

from __future__ import annotations

import datetime
import decimal
import fractions
import uuid
from typing import Any, Callable

FRACTION_BITS = 1 << 16
"""What is larger would take whoever reads it minutes."""


def _fraction(numerator: int, denominator: int) -> fractions.Fraction:
    if max(numerator.bit_length(), denominator.bit_length()) > FRACTION_BITS:
        raise ValueError(f"a fraction of over {FRACTION_BITS} bits")
    return fractions.Fraction(numerator, denominator)


def _moment(value: Any) -> Any:
    """As text, with its zone, or the name of that where it is no fixed distance from UTC."""
    zone = value.tzinfo
    if zone is not None and type(zone) is not datetime.timezone:
        if type(zone).__name__ != "ZoneInfo" or zone.key is None:
            raise ValueError("tzinfo is neither a timezone nor a ZoneInfo with a key")
        zone = zone.key
    return value.replace(tzinfo=None).isoformat(), value.fold, zone


def _moment_of(kind: Any) -> Callable[..., Any]:
    def moment(text: Any, fold: Any, zone: Any) -> Any:
        if type(zone) is str:
            import zoneinfo

            zone = zoneinfo.ZoneInfo(zone)
        return kind.fromisoformat(text).replace(fold=fold, tzinfo=zone)

    return moment


def _zone(value: Any) -> Any:
    """Its distance, and its name where it was given one."""
    return (*value.__getinitargs__(), None)[:2]


def _zone_of(distance: Any, name: Any) -> Any:
    return datetime.timezone(*([distance] if name is None else [distance, name]))


def _of(make: Callable[..., Any], *kinds: type) -> Callable[[Any], Any]:
    """Makes an object of a value, or of a tuple of values, of exactly these types (``object``:
    any), for with others the classes of the library may do what takes for ever.
    """

    def made(state: Any) -> Any:
        parts = state if len(kinds) > 1 else (state,)
        if type(parts) is not tuple or len(parts) != len(kinds):
            raise TypeError("not what it is made of")
        if not all(type(each) is kind or kind is object for each, kind in zip(parts, kinds)):
            raise TypeError("not what it is made of")
        return make(*parts)

    return made


LIBRARY: list[tuple[str, type, Callable[[Any], Any], Callable[[Any], Any]]] = [
    ("complex", complex, lambda c: (c.real, c.imag), _of(complex, float, float)),
    ("date", datetime.date, lambda d: d.toordinal(), _of(datetime.date.fromordinal, int)),
    ("datetime", datetime.datetime, _moment, _of(_moment_of(datetime.datetime), str, int, object)),
    ("time", datetime.time, _moment, _of(_moment_of(datetime.time), str, int, object)),
    ("timedelta", datetime.timedelta, lambda t: (t.days, t.seconds, t.microseconds),
     _of(datetime.timedelta, int, int, int)),
    ("timezone", datetime.timezone, _zone, _of(_zone_of, datetime.timedelta, object)),
    ("decimal", decimal.Decimal, str, _of(decimal.Decimal, str)),
    ("fraction", fractions.Fraction, lambda f: (f.numerator, f.denominator),
     _of(_fraction, int, int)),
    ("uuid", uuid.UUID, lambda u: u.bytes, _of(lambda data: uuid.UUID(bytes=data), bytes)),
]  # fmt: skip
"""Name, class, and the hooks, as ``Serializer.register`` has them."""

"""Types of Python's own library come back exactly; what is sent instead of them does nothing."""

import decimal
import time
import uuid
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from datetime import time as moment
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshcluster.ssh.far.serializer import Serializer, Unserializable

ZONES = st.none() | st.timezones() | st.builds(timezone, st.timedeltas(
    min_value=timedelta(hours=-23), max_value=timedelta(hours=23)
))  # fmt: skip


def back(value):
    serializer = Serializer()
    return serializer.loads(serializer.dumps(value))


@given(
    st.datetimes(timezones=ZONES, allow_imaginary=True)
    | st.dates()
    | st.times(timezones=ZONES)
    | st.timedeltas()
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.uuids()
)
def test_they_come_back_exactly(value):
    made = back(value)
    assert type(made) is type(value)
    assert repr(made) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(1, 1, 1, tzinfo=UTC),
        datetime.max,
        moment(1, 2, 3, 4, tzinfo=timezone(timedelta(seconds=-1, microseconds=5))),
        moment(2, 30, fold=1),
        timezone(timedelta(hours=2), "CEST"),
        datetime(2024, 7, 1, tzinfo=timezone(timedelta(hours=2), "CEST")),
        timedelta.min,
        Decimal("-0E+3"),
        Decimal("sNaN12"),
        Decimal("-Infinity"),
        Decimal("1E+999999"),
        complex(-0.0, float("nan")),
        complex(0.0, -0.0),
        date.max,
    ],
    ids=str,
)
def test_rare_ones_come_back_exactly(value):
    assert repr(back(value)) == repr(value)


def test_a_zone_is_the_zone_itself_and_fold_is_kept():
    late = back(datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1))
    assert late.tzinfo is ZoneInfo("Europe/Berlin")
    assert late.utcoffset() == timedelta(hours=1)
    assert back(UTC) is UTC


def test_a_decimal_is_exact_whatever_the_precision_is_here():
    value = Decimal(1) / 7
    with decimal.localcontext(decimal.Context(prec=3)):
        assert back(value) == value


class Elsewhere(tzinfo):
    key = "Europe/Berlin"

    def utcoffset(self, when):
        return timedelta(0)


def test_a_zone_of_another_class_is_refused_and_not_taken_for_one():
    with pytest.raises(Unserializable, match="neither a timezone nor a ZoneInfo"):
        Serializer().dumps(datetime(2020, 1, 1, tzinfo=Elsewhere()))


def sent(name, state):
    """The bytes that say: this type, made of that."""
    return b"x" + len(name).to_bytes(4, "big") + name.encode() + Serializer().dumps(state)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("fraction", ("1e999999999", 1)),  # a number of so many digits
        ("fraction", (Decimal("1e999999999"), 1)),
        ("fraction", (1, 0)),
        ("fraction", 5),
        ("decimal", 7 << 10_000_000),
        ("decimal", "no number"),
        ("complex", ("1", 2)),
        ("date", -1),
        ("date", 10**100),
        ("datetime", ("x" * 5_000_000, 0, None)),
        ("datetime", ("2020-01-01", 2, None)),
        ("datetime", ("2020-01-01", 0, 5)),
        ("datetime", ("2020-01-01", 0, "../../../etc/passwd")),
        ("datetime", ("2020-01-01", 0, "/etc/passwd")),
        ("datetime", ("2020-01-01", 0, "Nowhere/At_all")),
        ("timedelta", (10**20, 0, 0)),
        ("timezone", (timedelta(days=3), None)),
        ("timezone", (timedelta(0), 5)),
        ("uuid", b"short"),
        ("uuid", [1] * 16),
        ("uuid", None),
    ],
    ids=lambda value: f"{value!s:.9}" if isinstance(value, str) else type(value).__name__,
)
def test_what_they_cannot_be_made_of_is_refused_at_once(name, state):
    began = time.monotonic()
    with pytest.raises(Unserializable, match=f"{name}: decode raised") as caught:
        Serializer().loads(sent(name, state))
    assert len(str(caught.value)) < 300
    assert time.monotonic() - began < 10


def test_what_they_can_be_made_of_is_taken():
    assert Serializer().loads(sent("uuid", b"x" * 16)) == uuid.UUID(bytes=b"x" * 16)
    assert Serializer().loads(sent("fraction", (2, 4))) == Fraction(1, 2)

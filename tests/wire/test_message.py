"""The message as hooks see it: immutable, decoded on demand, replaced whole."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.errors import DecodeError, EncodeError
from meshcluster.model import Identity, Service
from meshcluster.wire import body
from meshcluster.wire.message import ANSWER, EVENT, QUESTION, Message

ADA = Service(Identity(b"a" * 16, 1, "ada", "host"))
BOB = Service(Identity(b"b" * 16, 1, "bob", "host"))


@dataclass
class Point:
    x: int


def saying(data, channel=0):
    """A message that came in from Ada."""
    return Message(ADA, channel, *body.encode(data), "tcp")


def test_the_kinds_are_the_words_users_know():
    assert (EVENT, QUESTION, ANSWER) == ("event", "query", "answer")


def test_a_message_is_an_event_for_nobody_in_particular_by_default():
    message = saying("hi")
    assert (message.kind, message.receivers) == (EVENT, ())


@pytest.mark.parametrize("data", [b"bytes", "text", [1, {"a": None}], (1, {2}), 2**70], ids=repr)
def test_data_is_the_value_that_was_sent(data):
    assert saying(data).data == data


def test_changing_the_data_changes_no_message():
    message = saying([1])
    message.data.append(2)
    assert message.data == [1]


def test_bytes_are_not_copied():
    message = saying(b"as they are")
    assert message.data is message.body


def test_a_body_that_is_not_what_its_form_says_is_refused_when_looked_at():
    message = Message(ADA, 0, body.TEXT, b"\xff")
    with pytest.raises(DecodeError):
        message.data  # noqa: B018


def test_the_value_is_read_as_a_type():
    assert saying(Point(1)).read(Point) == Point(1)
    assert saying([{"x": 1}]).read(list[Point]) == [Point(1)]
    with pytest.raises(DecodeError, match="x"):
        saying({"x": "one"}).read(Point)


@dataclass
class Nested:
    """What a program might read a message as."""

    at: datetime
    points: list[Point]
    names: dict[str, frozenset[int]]
    id: UUID | None = None


WANTED = [int, str, bytes, list, dict[str, int], tuple[int, ...], set[str], datetime, Decimal]
WANTED += [Point, Nested, list[Nested], Nested | int]
plain = some.recursive(
    some.none() | some.integers(0, 99) | some.text(max_size=9) | some.datetimes().map(str),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3),
        some.dictionaries(some.sampled_from(["x", "at", "points", "names", "id"]), inner),
    ),
)


@settings(max_examples=400)
@given(
    some.integers(-1, 6),
    some.binary(max_size=40) | plain.map(msgspec.msgpack.encode),
    some.sampled_from(WANTED),
)
def test_anything_is_read_as_what_is_wanted_or_refused(form, data, wanted):
    message = Message(ADA, 0, form, data)
    for look in (lambda: message.read(wanted), lambda: message.data):
        try:
            look()
        except DecodeError:
            pass


@pytest.mark.parametrize("field", ["service", "channel", "form", "body", "protocol", "kind"])
def test_a_message_cannot_be_changed(field):
    with pytest.raises(AttributeError):
        setattr(saying("hi"), field, None)


def test_a_replaced_message_is_another_one():
    message = saying("hi", channel=7)
    changed = message.replace(data=("ho",))
    assert (changed.data, message.data) == (("ho",), "hi")
    assert (changed.service, changed.channel, changed.protocol) == (ADA, 7, "tcp")


def test_a_hook_may_replace_channel_receivers_form_and_body():
    changed = saying("hi").replace(channel=9, receivers=(BOB,), form=body.BYTES, body=b"x")
    assert (changed.channel, changed.receivers, changed.data) == (9, (BOB,), b"x")


@pytest.mark.parametrize("field", ["service", "protocol", "kind", "colour"])
def test_what_is_not_the_hooks_to_change_is_refused_by_name(field):
    with pytest.raises(TypeError, match=field):
        saying("hi").replace(**{field: "x"}, channel=1)


def test_data_that_cannot_be_sent_is_refused():
    with pytest.raises(EncodeError):
        saying("hi").replace(data=object())


@pytest.mark.parametrize(
    "change",
    [{"body": "text"}, {"form": None}, {"channel": "7"}, {"channel": -1}, {"receivers": None}],
    ids=str,
)
def test_a_replacement_that_could_not_travel_is_refused(change):
    """Sent, it would end every link to its receiver, again and again."""
    with pytest.raises((TypeError, ValueError)):
        saying("hi").replace(**change)

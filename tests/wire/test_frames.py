"""The vocabulary of the wire, version 1: numbers keep their meaning, fields keep their place."""

import typing

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.model import Endpoint
from meshcluster.wire import frames
from meshcluster.wire.codec import decode_datagram, decode_frame, encode_datagram, encode_frame
from meshcluster.wire.frames import (
    Ack,
    AckedEvent,
    Answer,
    AnyMessage,
    Batch,
    Beacon,
    Datagram,
    Dead,
    Describe,
    Details,
    DirectBeacon,
    Entry,
    Event,
    Events,
    Goodbye,
    GroupParcel,
    Hello,
    Leave,
    LinkFrame,
    Note,
    Parcel,
    Part,
    Ping,
    Pong,
    Probe,
    ProbeAck,
    ProbeReply,
    ProbeRequest,
    Question,
    Receipt,
    Refuse,
    Request,
    Sighting,
    Solicit,
    Suspect,
    Unopened,
    View,
    ViewRequest,
    Vouch,
)

DATAGRAMS = {
    Beacon: 1,
    Probe: 2,
    ProbeReply: 3,
    ProbeAck: 4,
    Leave: 5,
    Vouch: 6,
    Solicit: 7,
    DirectBeacon: 8,
    Parcel: 9,
    GroupParcel: 10,
    Receipt: 11,
    Suspect: 12,
    Dead: 13,
    ProbeRequest: 14,
    Sighting: 15,
}
LINK_FRAMES = {
    Hello: 1,
    Refuse: 2,
    Events: 3,
    Batch: 4,
    Ack: 5,
    Goodbye: 6,
    Describe: 7,
    ViewRequest: 8,
    View: 9,
    Unopened: 10,
    Ping: 11,
    Pong: 12,
    Part: 13,
}
MESSAGES = {Event: 1, Question: 2, Answer: 3, Note: 4, Request: 5, AckedEvent: 6}
ALL = [*DATAGRAMS, *LINK_FRAMES, *MESSAGES, Details, Endpoint, Entry]

VERSION_1 = {
    Endpoint: "scheme props",
    Details: "version name host tags endpoints props port heartbeat_seconds offers observer",
    Entry: "id boot address details",
    Beacon: "cluster id boot details_version digest endpoints known view number lag",
    Probe: "cluster id boot nonce want details_version digest observer",
    ProbeReply: "cluster id boot nonce challenge details large known clock",
    ProbeAck: "cluster id boot challenge details endpoints known",
    Leave: "cluster id boot",
    Vouch: "cluster id boot members",
    Solicit: "cluster id boot nonce details_version digest observer",
    DirectBeacon: "cluster id boot details_version digest endpoints known view number lag",
    Parcel: "cluster id boot to number message confirm",
    GroupParcel: "cluster id boot number message",
    Receipt: "cluster id boot to number",
    Suspect: "cluster id boot subject number",
    Dead: "cluster id boot subject number crashed",
    ProbeRequest: "cluster id boot subject number nonce",
    Sighting: "cluster id boot subject number nonce",
    Part: "number acked taken asked begins left data",
    Event: "channel form body",
    Question: "id channel form body",
    Answer: "id outcome channel form body",
    Note: "mailbox channel form body",
    Request: "id mailbox channel form body",
    AckedEvent: "id channel form body",
    Hello: "cluster id boot to lane token peer_token received links details",
    Refuse: "reason",
    Events: "number acked taken messages",
    Batch: "number acked taken messages",
    Ack: "acked taken",
    Goodbye: "",
    Describe: "details",
    ViewRequest: "keys",
    View: "members unknown",
    Unopened: "endpoint reason",
    Ping: "",
    Pong: "",
}

numbers = some.integers(0, 2**64 - 1)
labels = some.text("aZ9 -é🦊", min_size=1, max_size=20)
endpoints = some.builds(Endpoint, some.text(), some.dictionaries(some.text(), numbers))
props = some.dictionaries(
    some.text(),
    some.recursive(
        some.none() | some.booleans() | numbers | some.text() | some.binary(),
        lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner),
        max_leaves=5,
    ),
    max_size=3,
)
VALUES = {
    "bool": some.booleans(),
    "bytes": some.binary(max_size=40),
    "int": numbers,
    "float": some.floats(0.01, 3600),
    "str": some.text(max_size=20),
    "tuple[str, ...]": some.lists(labels, max_size=3).map(tuple),
    "Endpoint": endpoints,
    "tuple[Endpoint, ...]": some.lists(endpoints, max_size=3).map(tuple),
    "dict[str, object]": props,
    "Details": some.deferred(lambda: any_of(Details)),
    "Details | None": some.none() | some.deferred(lambda: any_of(Details)),
    "list[Entry]": some.lists(some.deferred(lambda: any_of(Entry)), max_size=2),
    "list[Event]": some.lists(some.deferred(lambda: any_of(Event)), max_size=3),
    "ParcelMessage": some.one_of(
        *(some.deferred(lambda kind=kind: any_of(kind)) for kind in (Event, Question, Answer))
    ),
    "Event": some.deferred(lambda: any_of(Event)),
    "AnyMessage | None": some.none()
    | some.one_of(*(some.deferred(lambda kind=kind: any_of(kind)) for kind in MESSAGES)),
    "list[AnyMessage]": some.lists(
        some.one_of(*(some.deferred(lambda kind=kind: any_of(kind)) for kind in MESSAGES)),
        max_size=3,
    ),
}


SPECIAL = {
    (Details, "name"): labels,
    (Details, "host"): labels,
    (Details, "port"): some.integers(1, 65535),
    (Details, "offers"): some.dictionaries(labels, numbers, max_size=2),
    (Entry, "address"): some.ip_addresses().map(str),
    **{(kind, "id"): some.binary(min_size=16, max_size=16) for kind in [*DATAGRAMS, Hello, Entry]},
}


def any_of(kind):
    """Any value of a struct, its fields by their annotations: a new kind is covered by itself."""
    hints = typing.get_type_hints(kind)
    fields = {}
    for name in kind.__struct_fields__:
        text = annotation(kind, name)
        usual = VALUES[text] if text in VALUES else some.from_type(hints[name])
        fields[name] = SPECIAL.get((kind, name), usual)
    return some.builds(kind, **fields)


def annotation(kind, name):
    """As it is written, in the struct or in the one that it extends."""
    return next(k.__annotations__[name] for k in kind.__mro__ if name in k.__annotations__)


@pytest.mark.parametrize("numbered", [DATAGRAMS, LINK_FRAMES, MESSAGES], ids=[*"dlm"])
def test_numbers_once_given_keep_their_meaning(numbered):
    assert {kind: kind.__struct_config__.tag for kind in numbered} == numbered


def test_every_kind_that_travels_is_numbered_here():
    assert set(DATAGRAMS) == set(Datagram.__args__)
    assert set(LINK_FRAMES) == set(LinkFrame.__args__)
    assert set(MESSAGES) == set(AnyMessage.__args__)
    structs = [v for v in vars(frames).values() if isinstance(v, type(msgspec.Struct))]
    assert set(structs) == set(ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_fields_keep_their_place_and_new_ones_come_last_with_a_default(kind):
    first = tuple(VERSION_1[kind].split())
    fields = msgspec.structs.fields(kind)
    assert tuple(field.name for field in fields)[: len(first)] == first
    assert not any(field.required for field in fields[len(first) :])


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_what_travels_is_an_immutable_array(kind):
    assert kind.__struct_config__.frozen
    assert kind.__struct_config__.array_like


def test_the_version_and_the_small_numbers_are_fixed():
    assert frames.VERSION == 1
    assert (frames.ANSWERED, frames.RAISED, frames.NO_RESPONDER, frames.OVERLOADED) == (0, 1, 2, 3)
    reasons = [frames.YIELD, frames.NOT_ME, frames.OTHER_CLUSTER, frames.REJECTED, frames.BUSY]
    assert reasons == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", Datagram.__args__, ids=lambda kind: kind.__name__)
def test_every_datagram_comes_back_as_it_was(kind):
    @settings(deadline=None, max_examples=30)
    @given(any_of(kind))
    def comes_back(datagram):
        assert decode_datagram(encode_datagram(datagram)) == datagram

    comes_back()


@pytest.mark.parametrize("kind", LinkFrame.__args__, ids=lambda kind: kind.__name__)
def test_every_link_frame_comes_back_as_it_was(kind):
    @settings(deadline=None, max_examples=30)
    @given(any_of(kind))
    def comes_back(frame):
        assert decode_frame(encode_frame(frame)) == frame

    comes_back()


@pytest.mark.parametrize("kind", LINK_FRAMES, ids=lambda kind: kind.__name__)
def test_a_frame_with_fields_of_a_later_version_is_read_without_them(kind):
    @settings(deadline=None, max_examples=5)
    @given(any_of(kind))
    def is_read(frame):
        later = [*msgspec.msgpack.decode(encode_frame(frame)), "a field of version 9"]
        assert decode_frame(msgspec.msgpack.encode(later)) == frame

    is_read()

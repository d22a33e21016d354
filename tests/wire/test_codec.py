"""Bytes to frames and back. Whatever is wrong with received bytes raises DecodeError alone."""

import math

import msgspec
import pytest

from meshcluster.errors import DecodeError
from meshcluster.model import Endpoint
from meshcluster.wire.codec import (
    DATAGRAM_MAGIC,
    check_identity,
    copied,
    decode_datagram,
    decode_frame,
    digest,
    encode_datagram,
    encode_details,
    encode_frame,
    is_message,
    packed,
    preface,
    security_of,
    takes_notices,
)
from meshcluster.wire.frames import (
    Ack,
    AckedEvent,
    Answer,
    Batch,
    Beacon,
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
    Note,
    Parcel,
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
    View,
    ViewRequest,
    Vouch,
)

ID, TO, SUM = b"i" * 16, b"t" * 24, b"d" * 8
WAYS = (Endpoint("tcp", {"port": 4000, "path": "p"}),)
ADA = Details(3, "ada", "h", ("web",), WAYS, {"rack": 3}, 5000, 1.5, {"clock": 9}, False)
TOLD = [Entry(ID, 7, "10.0.0.5", ADA)]

WAYS_BYTES = b"\x91\x92\xa3tcp\x82\xa4port\xcd\x0f\xa0\xa4path\xa1p"
ADA_BYTES = (
    b"\x9a\x03\xa3ada\xa1h\x91\xa3web" + WAYS_BYTES + b"\x81\xa4rack\x03\xcd\x13\x88"
    b"\xcb?\xf8\0\0\0\0\0\0\x81\xa5clock\x09\xc2"
)
TOLD_BYTES = b"\x91\x94\xc4\x10" + ID + b"\x07\xa810.0.0.5" + ADA_BYTES
MEMBER_BYTES = b"\xa1c\xc4\x10iiiiiiiiiiiiiiii\x07"
MESSAGES = [
    Event(0, 1, b"e"),
    Question(9, 0, 2, b"q"),
    Answer(9, 0, 0, 3, b"\xc0"),
    Note("box", 0, 1, b"l"),
    Request(8, "box", 0, 1, b"r"),
    AckedEvent(9, 0, 1, b"a"),
]
MESSAGES_BYTES = (
    b"\x96\x94\1\0\1\xc4\1e" + b"\x95\2\x09\0\2\xc4\1q" + b"\x96\3\x09\0\0\3\xc4\1\xc0"
    b"\x95\4\xa3box\0\1\xc4\1l" + b"\x96\5\x08\xa3box\0\1\xc4\1r"
    b"\x95\6\x09\0\1\xc4\1a"
)

DATAGRAMS = [
    (
        Beacon("c", ID, 7, 3, SUM, WAYS, 12, 300, 9, 0),
        b"mc\1\x9b\1" + MEMBER_BYTES + b"\3\xc4\x08dddddddd" + WAYS_BYTES + b"\x0c\xcd\1\x2c\x09\0",
    ),
    (
        Probe("c", ID, 7, 300, True, 3, SUM, True),
        b"mc\1\x99\2" + MEMBER_BYTES + b"\xcd\1\x2c\xc3\3\xc4\x08dddddddd\xc3",
    ),
    (
        ProbeReply("c", ID, 7, 300, 0, None, True, 2, 70000),
        b"mc\1\x9a\3" + MEMBER_BYTES + b"\xcd\1\x2c\0\xc0\xc3\2\xce\0\1\x11\x70",
    ),
    (
        ProbeAck("c", ID, 7, 70000, ADA, (), 2),
        b"mc\1\x98\4" + MEMBER_BYTES + b"\xce\0\1\x11\x70" + ADA_BYTES + b"\x90\2",
    ),
    (Leave("c", ID, 7), b"mc\1\x94\5" + MEMBER_BYTES),
    (Vouch("c", ID, 7, TOLD), b"mc\1\x95\6" + MEMBER_BYTES + TOLD_BYTES),
    (
        Solicit("c", ID, 7, 300, 3, SUM, True),
        b"mc\1\x98\7" + MEMBER_BYTES + b"\xcd\1\x2c\3\xc4\x08dddddddd\xc3",
    ),
    (
        DirectBeacon("c", ID, 7, 3, SUM, WAYS, 12, 300, 9, 300),
        b"mc\1\x9b\x08"
        + MEMBER_BYTES
        + b"\3\xc4\x08dddddddd"
        + WAYS_BYTES
        + b"\x0c\xcd\1\x2c\x09\xcd\1\x2c",
    ),
    (
        Parcel("c", ID, 7, TO, 300, Question(9, 0, 2, b"q"), True),
        b"mc\1\x98\x09" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xcd\1\x2c\x95\2\x09\0\2\xc4\1q\xc3",
    ),
    (
        GroupParcel("c", ID, 7, 300, Event(0, 1, b"e")),
        b"mc\1\x96\x0a" + MEMBER_BYTES + b"\xcd\1\x2c\x94\1\0\1\xc4\1e",
    ),
    (
        Receipt("c", ID, 7, TO, 300),
        b"mc\1\x96\x0b" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xcd\1\x2c",
    ),
    (
        Suspect("c", ID, 7, TO, 300),
        b"mc\1\x96\x0c" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xcd\1\x2c",
    ),
    (
        Dead("c", ID, 7, TO, 300, True),
        b"mc\1\x97\x0d" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xcd\1\x2c\xc3",
    ),
    (
        ProbeRequest("c", ID, 7, TO, 300, 9),
        b"mc\1\x97\x0e" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xcd\1\x2c\x09",
    ),
    (
        Sighting("c", ID, 7, TO, 300, 0),
        b"mc\1\x97\x0f" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xcd\1\x2c\0",
    ),
]
LINK_FRAMES = [
    (
        Hello("c", ID, 7, TO, "tcp", 1, 2, 3, 4, ADA),
        b"\x9b\1" + MEMBER_BYTES + b"\xc4\x18" + TO + b"\xa3tcp\1\2\3\4" + ADA_BYTES,
    ),
    (Refuse(5), b"\x92\2\5"),
    (Events(1, 2, 3, [Event(0, 1, b"hi")]), b"\x95\3\1\2\3\x91\x94\1\0\1\xc4\2hi"),
    (Batch(1, 2, 3, MESSAGES), b"\x95\4\1\2\3" + MESSAGES_BYTES),
    (Ack(256, 65536), b"\x93\5\xcd\1\0\xce\0\1\0\0"),
    (Goodbye(), b"\x91\6"),
    (Describe(ADA), b"\x92\7" + ADA_BYTES),
    (ViewRequest(b"k"), b"\x92\x08\xc4\1k"),
    (View(TOLD, b"k"), b"\x93\x09" + TOLD_BYTES + b"\xc4\1k"),
]
BOTH = [(decode_datagram, *pair) for pair in DATAGRAMS] + [
    (decode_frame, *pair) for pair in LINK_FRAMES
]
each_kind = pytest.mark.parametrize(
    ("decode", "value", "data"), BOTH, ids=[type(value).__name__ for _, value, _ in BOTH]
)


def is_refused(decode, data):
    with pytest.raises(DecodeError) as caught:
        decode(data)
    return str(caught.value)


def as_lists(data):
    """A frame as plain lists, to be spoilt."""
    return msgspec.msgpack.decode(data.removeprefix(DATAGRAM_MAGIC))


def packed_like(data, plain):
    magic = DATAGRAM_MAGIC if data.startswith(DATAGRAM_MAGIC) else b""
    return magic + msgspec.msgpack.encode(plain)


# --- version 1, byte for byte ---


@each_kind
def test_version_1_is_these_bytes(decode, value, data):
    encode = encode_datagram if decode is decode_datagram else encode_frame
    assert encode(value) == data


@each_kind
def test_these_bytes_are_version_1(decode, value, data):
    assert decode(data) == value


def test_details_alone_are_as_inside_a_hello():
    assert encode_details(ADA) == ADA_BYTES


def test_copied_details_share_nothing_that_could_change():
    shelf = {"rack": [1, {"row": 2}]}
    copy = copied(msgspec.structs.replace(ADA, props=shelf))
    assert copy == msgspec.structs.replace(ADA, props=shelf)
    shelf["rack"][1]["row"] = 3
    assert copy.props == {"rack": [1, {"row": 2}]}


def test_the_digest_is_the_same_for_every_version_1():
    assert digest(ADA).hex() == "62912b526771ab50"


def test_the_digest_changes_with_every_detail():
    other = Details(4, "bob", "i", ("db",), (), {}, 5001, 2.0, {}, True)
    changed = [
        msgspec.structs.replace(ADA, **{field: getattr(other, field)})
        for field in ADA.__struct_fields__
    ]
    assert len({digest(ADA), *map(digest, changed)}) == 1 + len(changed)


def test_fields_are_copied_out_of_a_reused_buffer():
    buffer = bytearray(encode_frame(Events(1, 0, 0, [Event(0, 1, b"kept")])))
    frame = decode_frame(memoryview(buffer))
    buffer[:] = bytes(len(buffer))
    assert frame.messages[0].body == b"kept"


# --- malformed ---


@each_kind
def test_a_truncated_frame_is_refused_wherever_it_ends(decode, value, data):
    for length in range(len(data)):
        is_refused(decode, data[:length])


@each_kind
def test_bytes_after_the_end_are_refused(decode, value, data):
    is_refused(decode, data + b"\0")


@each_kind
def test_a_field_of_the_wrong_type_is_refused(decode, value, data):
    for index in range(1, len(as_lists(data))):
        plain = as_lists(data)
        plain[index] = {"a map": "fits nowhere"}
        is_refused(decode, packed_like(data, plain))


@each_kind
def test_a_missing_field_is_refused_unless_it_has_a_default(decode, value, data):
    needed = [f for f in msgspec.structs.fields(type(value)) if f.required]
    for count in range(1, len(needed) + 1):
        is_refused(decode, packed_like(data, as_lists(data)[:count]))
    assert type(decode(packed_like(data, as_lists(data)[: len(needed) + 1]))) is type(value)


@each_kind
def test_a_number_nobody_has_given_is_refused(decode, value, data):
    for number in (0, 99, -1, "1", None):
        is_refused(decode, packed_like(data, [number, *as_lists(data)[1:]]))


def test_an_unknown_message_in_a_batch_is_refused():
    batch = [4, 1, 2, 3, [[99, 0, 1, b""]]]
    is_refused(decode_frame, msgspec.msgpack.encode(batch))


def test_a_question_in_the_fast_lane_of_events_is_refused():
    is_refused(decode_frame, encode_frame(Events(1, 0, 0, [Question(1, 0, 1, b"")])))


def test_to_everybody_there_are_events_alone():
    """A question to the group would be answered by all at once, and is refused."""
    asked = [10, "c", ID, 7, 1, [2, 9, 0, 1, b"q"]]
    is_refused(decode_datagram, DATAGRAM_MAGIC + msgspec.msgpack.encode(asked))


def test_members_of_before_read_a_parcel_that_says_more_than_they_know():
    """As these read one that does not say whether it wants to be confirmed."""
    parcel = Parcel("c", ID, 7, TO, 300, Event(0, 1, b"e"))
    plain = as_lists(encode_datagram(parcel))
    assert decode_datagram(packed_like(DATAGRAM_MAGIC, plain[:-1])) == parcel
    assert decode_datagram(packed_like(DATAGRAM_MAGIC, [*plain, "later"])) == parcel


def test_what_carries_a_users_words_is_told_from_what_says_who_is_there():
    words = {type(value) for value, data in DATAGRAMS if is_message(data)}
    assert words == {Parcel, GroupParcel}
    assert not is_message(b"foreign")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("heartbeat_seconds", math.nan),
        ("heartbeat_seconds", -1.0),
        ("port", -1),
        ("port", 65536),
        ("name", ""),
        ("name", "\x1b[2J"),
        ("name", "x" * 65),
        ("host", "\0"),
        ("tags", ("two\nlines",)),
    ],
)
def test_details_no_member_can_have_are_refused(field, value):
    details = msgspec.structs.replace(ADA, **{field: value})
    is_refused(decode_frame, encode_frame(Describe(details)))


@pytest.mark.parametrize("field", ["props", "offers"])
def test_details_nested_deeper_than_a_member_may_are_refused(field):
    deep = 1
    for _ in range(16):
        deep = {"a": deep}
    assert decode_frame(encode_frame(Describe(msgspec.structs.replace(ADA, **{field: deep}))))
    for _ in range(2):
        deep = {"a": deep}
    data = encode_frame(Describe(msgspec.structs.replace(ADA, **{field: deep})))
    assert "malformed props or offers" in is_refused(decode_frame, data)


def test_an_address_as_long_as_a_liar_wants_is_refused_and_not_kept():
    entry = Entry(ID, 7, "fe80::1%" + "x" * 100, ADA)
    assert "address" in is_refused(decode_frame, encode_frame(View([entry], b"")))
    near = msgspec.structs.replace(entry, address="fe80::1%a-name-of-15-ch")
    assert decode_frame(encode_frame(View([near], b""))).members == [near]


# --- who, and which version ---


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "foreign"),
        (b"M-SEARCH * HTTP/1.1\r\n", "foreign"),
        (b"mc", "unknown"),
        (b"mc\2" + DATAGRAMS[-1][1][3:], "unknown"),
        (b"mc\1", "malformed"),
        (b"mc\1\x94\5\xa1c\xc4\x0fiiiiiiiiiiiiiii\7", "malformed"),
    ],
)
def test_the_first_word_about_a_datagram_is_the_reason_it_is_counted_under(data, reason):
    assert is_refused(decode_datagram, data).split()[0] == reason


@pytest.mark.parametrize("member_id", [b"", b"i" * 15, b"i" * 17])
def test_an_id_of_another_size_is_refused(member_id):
    assert "id" in is_refused(decode_datagram, encode_datagram(Leave("c", member_id, 7)))
    with pytest.raises(DecodeError, match="id"):
        check_identity(member_id, 7)


@pytest.mark.parametrize("boot", [-1, 2**64])
def test_a_boot_that_is_no_64_bit_number_is_refused(boot):
    with pytest.raises(DecodeError, match="boot"):
        check_identity(ID, boot)


def test_a_negative_boot_is_refused_on_its_way_in():
    assert "boot" in is_refused(decode_datagram, encode_datagram(Leave("c", ID, -1)))


def test_the_preface_is_eight_fixed_bytes():
    assert preface() == b"mesh\1\0\1\0"
    assert preface(takes=0) == b"mesh\1\0\0\0"
    security_of(memoryview(b"mesh\1\0\0\0"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "foreign"),
        (b"GET / HT", "foreign"),
        (b"mesh\1\0\0", "foreign"),
        (b"mesh\1\0\0\0\0", "foreign"),
        (b"mesh\2\0\0\0", "version"),
        (b"mesh\1\2\0\0", "security"),
        (preface(7), "security"),
    ],
)
def test_a_link_that_does_not_begin_as_ours_is_refused(data, reason):
    assert reason in is_refused(security_of, data)


@pytest.mark.parametrize(
    ("data", "takes"),
    [
        (preface(), True), (preface(1), True), (b"mesh\1\0\xff\0", True),
        (preface(takes=0), False), (b"mesh\1\0\xfe\0", False), (b"nets\1\0\1\0", False),
        (preface() + b"\0", False), (b"", False),
    ],
)  # fmt: skip
def test_a_preface_says_whether_its_sender_takes_notices(data, takes):
    assert takes_notices(memoryview(data)) is takes


@pytest.mark.parametrize("kept_for_later", [b"\1\0", b"\0\1", b"\xff\xff"])
def test_the_last_two_bytes_of_the_preface_are_kept_for_later(kept_for_later):
    security_of(b"mesh\1\0" + kept_for_later)


def test_packed_details_are_the_same_details_and_travel_as_they_are():
    endpoints = (Endpoint("unix", {"name": "a"}), Endpoint("tcp", {"port": 4000}))
    details = Details(1, "n", "h", ("web",), endpoints, {}, 4001, 1.0)
    small = packed(details)
    assert small == details
    assert packed(small) is small
    assert encode_details(small) == encode_details(details)
    assert digest(small) == digest(details)
    assert copied(small).endpoints == endpoints


def test_what_members_do_not_say_takes_no_room():
    first, second = (packed(Details(1, n, "h", (), (), {}, 1, 1.0)) for n in "ab")
    assert first.props is second.props is first.offers is second.offers


def test_what_cannot_travel_is_named():
    with pytest.raises(TypeError, match="object"):
        encode_details(Details(1, "n", "h", (), (), {"x": object()}, 1, 1.0))


@pytest.mark.parametrize("place", ["props", "offers"])
@pytest.mark.parametrize("bad", ["deep", "deeper", "timestamp"])
def test_props_and_offers_that_no_member_may_have_are_refused(place, bad):
    raw = {"deep": b"\x91" * 17 + b"\0", "deeper": b"\x91" * 900 + b"\0"}.get(
        bad, b"\xd6\xff\0\0\0\0"
    )
    details = msgspec.structs.replace(ADA, **{place: {"k": msgspec.Raw(raw)}})
    with pytest.raises(DecodeError, match="props or offers"):
        decode_frame(encode_frame(Describe(details)))

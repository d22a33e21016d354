"""A byte stream cut into frames: any chunking gives the same frames, a lie costs the liar."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.errors import DecodeError
from meshcluster.wire import notices
from meshcluster.wire.splitter import BUFFER_BYTES, HEADER, Splitter

KIB, MIB = 1024, 1024 * 1024
LIMIT = 64 * MIB


def stream_of(*frames):
    return b"".join(HEADER.pack(len(frame)) + frame for frame in frames)


def arrive(splitter, data, at_most=LIMIT, frames=None):
    """Has bytes arrive, in as many reads as the buffer needs; gives the frames."""
    frames, rest = [] if frames is None else frames, memoryview(data)
    while rest:
        room = splitter.buffer()
        count = min(len(room), len(rest), at_most)
        room[:count] = rest[:count]
        while found := splitter.advance(count):
            frames += map(bytes, found)
            rest, count = rest[count:], 0
        rest = rest[count:]
    return frames


def chunks_of(data, size):
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_frames_follow_four_bytes_of_length():
    assert arrive(Splitter(LIMIT), b"\0\0\0\2hi" + b"\0\0\0\3you") == [b"hi", b"you"]


@settings(deadline=None, max_examples=200)
@given(
    some.lists(some.binary(max_size=300) | some.just(bytes(3 * BUFFER_BYTES)), max_size=6),
    some.lists(some.integers(1, 500) | some.integers(1, 4 * BUFFER_BYTES)),
)
def test_any_chunking_gives_the_same_frames(frames, sizes):
    splitter, stream, found = Splitter(LIMIT), stream_of(*frames), []
    for size in [*sizes, len(stream)]:
        found += arrive(splitter, stream[:size])
        stream = stream[size:]
    assert found == frames


def outcome(data, limit, sizes):
    """The frames that come of bytes that arrive in chunks, and whether the stream was refused."""
    splitter, frames = Splitter(limit), []
    arrived = 0
    for size in [*sizes, len(data)]:
        chunk, data = data[:size], data[size:]
        try:
            arrive(splitter, chunk, frames=frames)
        except DecodeError:
            return frames, True
        arrived += len(chunk)
        assert len(splitter.buffer()) <= max(BUFFER_BYTES, 2 * arrived)
    return frames, False


def said(data, limit):
    """The same, told by the format alone."""
    frames = []
    while len(data) >= HEADER.size:
        (length,) = HEADER.unpack_from(data)
        if length > limit:
            return frames, True
        if len(data) < HEADER.size + length:
            break
        frames.append(data[HEADER.size : HEADER.size + length])
        data = data[HEADER.size + length :]
    return frames, False


lengths = some.integers(0, 30) | some.integers(0, 2**32 - 1) | some.integers(60_000, 70_000)
pieces = some.one_of(
    some.binary(max_size=40),  # bytes of anybody
    some.binary(max_size=30).map(lambda frame: stream_of(frame)),
    some.builds(lambda length, frame: HEADER.pack(length) + frame, lengths, some.binary()),  # lies
)


@settings(max_examples=400)
@given(
    some.lists(pieces, max_size=8).map(b"".join),
    some.sampled_from([0, 20, 30, 65_536, LIMIT]),
    some.lists(some.integers(1, 60), max_size=40),
)
def test_any_bytes_in_any_chunks_give_what_the_format_says(data, limit, sizes):
    assert outcome(data, limit, sizes) == said(data, limit)


def test_byte_by_byte_gives_the_same_frames():
    frames = [b"", b"one", b"", b"x" * 300]
    assert arrive(Splitter(LIMIT), stream_of(*frames), at_most=1) == frames


def test_empty_frames_are_frames():
    assert arrive(Splitter(0), stream_of(b"", b"", b"")) == [b"", b"", b""]


@pytest.mark.parametrize("size", [BUFFER_BYTES - 4, BUFFER_BYTES - 3, BUFFER_BYTES, MIB, 7 * MIB])
def test_a_frame_of_any_size_arrives_whole_between_small_ones(size):
    large = random.Random(size).randbytes(size)
    frames = [b"before", large, b"after", large]
    assert arrive(Splitter(LIMIT), stream_of(*frames)) == frames


def test_there_is_always_room_to_receive_into():
    splitter = Splitter(LIMIT)
    for chunk in chunks_of(stream_of(bytes(MIB))[:-1], BUFFER_BYTES // 3):
        arrive(splitter, chunk)
        assert len(splitter.buffer()) > 0


def test_frames_stay_until_the_next_buffer():
    splitter = Splitter(LIMIT)
    data = stream_of(b"one", b"two") + b"\0\0"
    splitter.buffer()[: len(data)] = data
    frames = splitter.advance(len(data))
    assert [bytes(frame) for frame in frames] == [b"one", b"two"]


# --- limits ---


def test_a_frame_of_the_limit_passes_and_one_byte_more_does_not():
    assert arrive(Splitter(10), stream_of(bytes(10))) == [bytes(10)]
    with pytest.raises(DecodeError, match="11 bytes"):
        arrive(Splitter(10), stream_of(bytes(11)))


def test_a_length_over_the_limit_is_refused_before_anything_is_allocated():
    splitter = Splitter(64 * KIB)
    splitter.buffer()
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            arrive(splitter, HEADER.pack(2**32 - 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 * KIB


def test_a_lying_length_costs_no_more_than_twice_what_arrived():
    splitter = Splitter(LIMIT)
    lie = HEADER.pack(60 * MIB) + bytes(3 * MIB)
    arrived = 0
    for chunk in chunks_of(lie, 100 * KIB):
        arrive(splitter, chunk)
        arrived += len(chunk)
        held = arrived + len(splitter.buffer())
        assert held <= max(BUFFER_BYTES, 2 * arrived)


def test_the_buffer_of_a_long_frame_is_reused_from_read_to_read():
    splitter, arrived, sizes = Splitter(LIMIT), 0, []
    for chunk in chunks_of(stream_of(bytes(16 * MIB))[:-1], BUFFER_BYTES):
        arrive(splitter, chunk)
        arrived += len(chunk)
        sizes.append(arrived + len(splitter.buffer()))
    assert len(set(sizes)) <= 10  # doubled, not made anew and copied 256 times


def test_the_memory_of_a_lie_is_really_not_taken():
    tracemalloc.start()
    try:
        splitter = Splitter(LIMIT)
        arrive(splitter, HEADER.pack(60 * MIB) + bytes(MIB))
        splitter.buffer()
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 3.2 * MIB  # twice what arrived, and the bytes that are sent here
    assert peak < 8 * MIB


def test_the_buffer_shrinks_back_after_a_large_frame():
    splitter = Splitter(LIMIT)
    arrive(splitter, stream_of(bytes(5 * MIB), b"small"))
    assert len(splitter.buffer()) == BUFFER_BYTES


def test_the_frames_before_one_over_the_limit_are_not_lost():
    splitter = Splitter(10)
    data = stream_of(b"one", b"two", bytes(11))
    splitter.buffer()[: len(data)] = data
    assert [bytes(frame) for frame in splitter.advance(len(data))] == [b"one", b"two"]
    with pytest.raises(DecodeError):
        splitter.advance(0)


def test_the_limit_may_be_raised_in_use():
    splitter = Splitter(10)
    assert arrive(splitter, stream_of(b"hello")) == [b"hello"]
    splitter.limit_bytes = 1000
    assert arrive(splitter, stream_of(bytes(1000))) == [bytes(1000)]


@pytest.mark.parametrize("together", [50, 113], ids=["its beginning", "all of it"])
def test_a_large_frame_in_the_same_read_as_the_hello_that_allows_it_is_taken(together):
    """The other end sends what was not acknowledged right behind its hello."""
    splitter, data = Splitter(10), stream_of(b"hello", bytes(100))
    splitter.buffer()[:together] = data[:together]
    assert [bytes(frame) for frame in splitter.advance(together)] == [b"hello"]
    splitter.limit_bytes = 1000
    frames = [bytes(frame) for frame in splitter.advance(0)]
    assert frames + arrive(splitter, data[together:]) == [bytes(100)]


def test_who_only_opens_a_stream_or_drips_costs_four_kibibytes():
    tracemalloc.start()
    splitters = [Splitter(64 * KIB) for _ in range(64)]
    for splitter in splitters:
        arrive(splitter, HEADER.pack(64 * KIB) + bytes(1000), at_most=1)
    assert tracemalloc.get_traced_memory()[0] < 64 * 5 * KIB
    tracemalloc.stop()


def test_a_busy_stream_soon_has_all_of_its_buffer():
    splitter, sizes = Splitter(LIMIT), []
    for _ in range(6):
        room = splitter.buffer()
        sizes.append(len(room) // KIB)
        room[:] = bytes(len(room))  # empty frames
        splitter.advance(len(room))
    assert sizes == [4, 8, 16, 32, 64, 64]
    splitter.buffer()[:4] = bytes(4)
    splitter.advance(4)
    assert len(splitter.buffer()) == 64 * KIB


def taking(splitter, brought=b"brought"):
    """Has it take notices; each place brings the same frame."""
    taken = []

    def noticed(notice, limit):
        taken.append((bytes(notice), limit))
        return brought if notices.read(notice)[0] == notices.PLACE else None

    splitter.noticed = noticed
    return taken


def test_a_notice_is_an_oversized_frame_to_who_takes_none():
    with pytest.raises(DecodeError, match="oversized"):
        arrive(Splitter(LIMIT), notices.credit(1))


@pytest.mark.parametrize("at_most", [1, 3, 5, LIMIT])
def test_notices_stand_between_frames_and_bring_some(at_most):
    splitter = Splitter(100)
    taken = taking(splitter)
    said = [notices.place(9, 5), notices.credit(2), notices.offer(3, 4096, bytes(16))]
    stream = stream_of(b"a") + said[0] + stream_of(b"b") + said[1] + said[2] + stream_of(b"c")
    assert arrive(splitter, stream, at_most) == [b"a", b"brought", b"b", b"c"]
    assert taken == [(notice, 100) for notice in said]


def test_what_the_frames_before_a_notice_allow_counts_for_it():
    splitter, frames = Splitter(100), []
    stream = stream_of(b"preface") + notices.place(9, 5)
    room = splitter.buffer()
    room[: len(stream)] = stream
    frames += map(bytes, splitter.advance(len(stream)))
    assert frames == [b"preface"]
    taking(splitter)
    assert splitter.advance(0) == [b"brought"]


def test_an_unknown_notice_ends_the_stream():
    splitter = Splitter(100)
    taking(splitter)
    with pytest.raises(DecodeError, match="unknown notice"):
        arrive(splitter, b"\xff\xff\xff\xff")


def test_a_notice_that_has_not_come_whole_takes_no_memory():
    splitter = Splitter(100)
    taking(splitter)
    arrive(splitter, notices.place(9, 5)[:5])
    assert len(splitter.buffer()) < BUFFER_BYTES

"""A frame in pieces: its large bodies apart, so that they are copied as seldom as can be.

Its sender keeps the bodies where its user gave them; a link that shares memory with the other end
writes them there, and the other end copies each out once, into what its user gets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from msgspec.structs import replace

from ..errors import DecodeError
from .codec import Buffer, decode_frame, encode_frame
from .frames import AnyMessage, Batch, Event, Events, LinkFrame, Part

SPLIT_BYTES = 32 * 1024
"""Shorter bodies are not worth it."""

HEAD_BYTES = 16 * 1024
"""A head, all of a frame but its large bodies, is short; and a frame has few of these."""

MOST_BODIES = 64

_M = TypeVar("_M", Event, AnyMessage)


class Split:
    """``head`` is the frame without its large bodies, empty in their stead; ``bodies`` are those,
    in order. Its length, and its ``bytes``, are those of the whole frame.
    """

    __slots__ = ("_size", "bodies", "head")

    def __init__(self, head: bytes, bodies: Sequence[bytes]) -> None:
        self.head = head
        self.bodies = bodies
        size = len(head)
        for body in bodies:  # MessagePack: a longer length than that of an empty body, then it
            size += len(body) + (3 if len(body) > 0xFFFF else 1)
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __bytes__(self) -> bytes:
        return encode_frame(self.frame())

    def frame(self) -> LinkFrame:
        """What it says.

        Raises:
            DecodeError: the head is no frame with just as many empty bodies.
        """
        frame = decode_frame(self.head)
        bodies = iter(self.bodies)
        if isinstance(frame, Part):
            if not frame.data:
                frame = replace(frame, data=next(bodies, b""))
        elif isinstance(frame, Events):
            _fill(frame.messages, bodies)
        elif isinstance(frame, Batch):
            _fill(frame.messages, bodies)
        if next(bodies, None) is not None:
            raise DecodeError("link frame: a body that belongs to nothing")
        return frame


def _fill(messages: list[_M], bodies: Iterator[bytes]) -> None:
    for index, message in enumerate(messages):
        if not message.body:
            body = next(bodies, None)
            if body is None:
                raise DecodeError("link frame: a body is missing")
            messages[index] = _with_body(message, body)


def _with_body(message: _M, body: bytes) -> _M:
    if type(message) is Event:  # the commonest, in half the time
        return Event(message.channel, message.form, body)
    return replace(message, body=body)


Frame = Buffer | Split
"""As links deliver them."""


def encode_split(frame: Events | Batch | Part) -> bytes | Split:
    """A frame to bytes, or in pieces if it has large bodies and little else."""
    if isinstance(frame, Part):
        if len(frame.data) <= SPLIT_BYTES:
            return encode_frame(frame)
        return Split(encode_frame(replace(frame, data=b"")), (frame.data,))
    bodies, messages = [], list[AnyMessage]()
    for message in frame.messages:
        body = message.body
        if len(body) > SPLIT_BYTES:
            bodies.append(body)
            if type(message) is Event:  # see ``_with_body``
                message = Event(message.channel, message.form, b"")
            else:
                message = replace(message, body=b"")
        elif not body:  # which would be taken for the place of a large one
            return encode_frame(frame)
        messages.append(message)
    if not bodies:
        return encode_frame(frame)
    head = encode_frame(replace(frame, messages=messages))
    if len(head) > HEAD_BYTES or len(bodies) > MOST_BODIES:
        return encode_frame(frame)
    return Split(head, bodies)


def decode_any(data: Frame) -> LinkFrame:
    """One link frame, whole or in pieces.

    Raises:
        DecodeError: not a link frame of version 1.
    """
    return data.frame() if isinstance(data, Split) else decode_frame(data)

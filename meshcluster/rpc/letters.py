"""What travels between the mailboxes of this package.

A call is ``[number, name, seconds, extra, *arguments]``: the caller's number for it, so that it can
be cancelled and a stream be asked for more; seconds until its deadline; ``extra`` is None or a dict
with "named" (arguments by name) and "packed" (see ``values.py``). Other requests begin with one
of the words below. An answer is ``[outcome, ...]``.

Where all values are leaves and not large, such a list travels as the bytes of its MessagePack,
which costs a third of what a list of any values does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ..errors import DecodeError

MAILBOX = "meshcluster.calls"
"""Its offer is ``{name: [signature, *traits]}`` of what a member exposes."""

IDEMPOTENT = "idempotent"
STREAM = "stream"

CANCEL = "cancel"
"""``["cancel", number]``: nobody waits any more."""
NEXT = "next"
"""``["next", number]``: more of a stream; answered like the call itself."""

OK = 0
"""``[OK, result]``."""
PACKED = 1
"""``[PACKED, result]``, to be unpacked."""
RAISED = 2
"""``[RAISED, kind, text, traceback]``: the function raised."""
BUSY = 3
"""``[BUSY]``: not begun, there are too many; another member may have room."""
NOT_EXPOSED = 4
"""``[NOT_EXPOSED]``: not begun, it is exposed there no more."""
MISFIT = 5
"""``[MISFIT, field, text]``: not begun, the arguments do not fit."""
ITEMS = 6
"""``[ITEMS, packed, items, more, failure]``: of a stream; with ``more`` there may be others,
``failure`` is None or what ended it, as in ``RAISED`` without the outcome."""
GIVEN_UP = 7
"""``[GIVEN_UP]``: its deadline has passed there, or it was cancelled; there is no result."""

LEAVES = frozenset({type(None), bool, int, float, str, bytes})
"""The classes of values that need nothing done to them."""

SHORT_BYTES = 32 * 1024
"""Longer ones go as any value does, and are looked at for keys that collide."""


def _refuse(code: int, data: memoryview) -> Any:
    raise DecodeError("not a call, nor an answer to one")


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ext_hook=_refuse).decode


def short(values: list[Any]) -> bytes | list[Any]:
    """A list of leaves as it travels best."""
    try:
        data = _encode(values)
    except (OverflowError, UnicodeEncodeError):  # an integer beyond 64 bits; what cannot be sent
        return values
    return data if len(data) <= SHORT_BYTES else values


def values_of(data: object) -> list[Any]:
    """The list that came.

    Raises:
        DecodeError: it is none.
    """
    if type(data) is bytes:
        try:
            if len(data) > SHORT_BYTES:
                raise DecodeError("not a call, nor an answer to one")
            data = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError) as error:
            raise DecodeError(f"not a call, nor an answer to one: {error}") from None
    if type(data) is not list or not data:
        raise DecodeError("not a call, nor an answer to one")
    return data

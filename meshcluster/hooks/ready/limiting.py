"""``rate_limit``: so many messages a second from each member, and no more."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ...bucket import Bucket
from ...errors import ConfigError, Overloaded
from ...wire.message import ANSWER, Message

MEMBERS = 4096
"""Members counted at a time; the one that came first is forgotten, and begins anew."""


def rate_limit(
    per_second: float, *, clock: Callable[[], float], burst: float | None = None,
    kinds: Collection[str] = (),
) -> Callable[[Message], None]:  # fmt: skip
    """Makes a ``receive`` hook that lets a member send so much, and vetoes what is more::

        cluster.hook("receive")(rate_limit(100, clock=time.monotonic))

    Vetoed messages are counted under ``receive: Overloaded``; who asked something is told to try
    again (``RemoteError``, kind ``Overloaded``). Answers pass always: they were asked for. Placed
    at ``send`` it counts all that this member sends together, and the call raises ``Overloaded``.

    Args:
        per_second: messages of one member, on average.
        clock: gives seconds that never go back, such as ``time.monotonic``.
        burst: as many may come at once; by default a second's worth, at least one.
        kinds: count only these kinds of message (``Message.kind``); by default all.

    Raises:
        ConfigError: a number that is not above 0.
    """
    at_once = max(per_second, 1.0) if burst is None else burst
    if not per_second > 0 or not at_once >= 1:
        raise ConfigError(f"rate_limit({per_second}, burst={burst}): above 0, a burst of 1 or more")
    buckets: dict[bytes, Bucket] = {}

    def limit(message: Message) -> None:
        if message.kind == ANSWER or (kinds and message.kind not in kinds):
            return
        key = message.service.key if message.service is not None else b""
        bucket = buckets.get(key)
        if bucket is None:
            while len(buckets) >= MEMBERS:
                buckets.pop(next(iter(buckets)), None)
            bucket = buckets[key] = Bucket(per_second, at_once)
        if not bucket.take(clock()):
            raise Overloaded(f"more than {per_second:g} messages a second")

    return limit

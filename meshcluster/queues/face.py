"""The method of ``AsyncCluster`` that makes queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .queue import AsyncQueue
    from .queues import Queues
    from .settings import Codec


class AsyncQueueing:
    """Queues from an event loop."""

    queues: Queues | None = None
    """All of them, once there is one; the blocking face puts its own here."""

    def _make_queues(self) -> Queues:
        raise NotImplementedError

    @property
    def _queues(self) -> Queues:
        if self.queues is None:
            self.queues = self._make_queues()
        return self.queues

    def queue(
        self, name: str, *, type: Any = None, mode: str = "one", policy: str = "ready",
        bound: int = 1024, at_most_once: bool = False, lease: float = 30.0,
        max_deliveries: int = 3, prefetch: int | None = None, codecs: Sequence[Codec] = (),
    ) -> AsyncQueue:  # fmt: skip
        """A queue of items across members: who puts holds each item until who takes has done it.

        Args:
            name: the same at all members that put into it or take from it.
            type: what items are, such as ``int``, ``list[str]`` or a dataclass; compared when a
                consumer attaches, so that who means another is refused. None: anything.
            mode: ``"one"``, each item to one consumer; ``"all"``, to each of those that are there;
                ``"key"``, items of one ``key=`` to one consumer, in order; the key moves when that
                one goes, or, once none of its items is open, when others come.
            policy: ``"ready"``, to who has room; ``"round_robin"``, to each in turn.
            bound: how many items that are not done this member holds; ``put`` waits for room.
            at_most_once: an item that a consumer died with is counted as ``lost``, and given to no
                other.
            lease: seconds after which the items of a consumer that says nothing go to others. (One
                that works on an item says so by itself; one that is known to be dead has none.)
            max_deliveries: so many consumers may fail with an item; then it is a dead letter.
            prefetch: how many items a consumer has in hand; by default what it does in 20 ms.
            codecs: pairs of functions ``(encode, decode)`` of bytes, applied to each item in order
                and unapplied in the opposite order; the same at all members.

        Raises:
            ConfigError: a setting that cannot work; a queue of this name is open here.
        """
        from .queue import AsyncQueue

        given = {
            "kind": type, "mode": mode, "policy": policy, "bound": bound,
            "at_most_once": at_most_once, "lease": lease, "max_deliveries": max_deliveries,
            "prefetch": prefetch, "codecs": codecs,
        }  # fmt: skip
        return self._queues.open(AsyncQueue, name, given)

"""The method of ``Cluster`` that makes queues."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..queues.queues import Queues
    from ..queues.settings import Codec
    from .queue import Queue


class Queueing:
    """Queues from threads."""

    _in_loop: Callable[..., Any]

    @property
    def _queues(self) -> Queues:
        raise NotImplementedError

    def _check_outside(self) -> None:
        raise NotImplementedError

    def queue(
        self, name: str, *, type: Any = None, mode: str = "one", policy: str = "ready",
        bound: int = 1024, at_most_once: bool = False, lease: float = 30.0,
        max_deliveries: int = 3, prefetch: int | None = None, codecs: Sequence[Codec] = (),
    ) -> Queue:  # fmt: skip
        """A queue of items across members; see ``AsyncCluster.queue``."""
        from .queue import Queue

        given = {
            "kind": type, "mode": mode, "policy": policy, "bound": bound,
            "at_most_once": at_most_once, "lease": lease, "max_deliveries": max_deliveries,
            "prefetch": prefetch, "codecs": codecs,
        }  # fmt: skip
        make = partial(Queue, in_loop=self._in_loop, check_outside=self._check_outside)
        return self._queues.open(make, name, given)

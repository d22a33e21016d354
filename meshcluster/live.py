"""``Live``: the members that have some words, now and whenever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from .errors import NotJoined
from .model import Service

if TYPE_CHECKING:
    from .view import ClusterView

POINTS = ("service.discovered", "service.changed", "service.lost")
Go = Callable[..., "Future[Any]"]


class Live:
    """What ``cluster.live("compute")`` returns: a selection that follows the mesh.

    It is iterated, has a length, and tells who watches it of each change.
    """

    def __init__(
        self, cluster: ClusterView, words: tuple[str, ...], go: Go, is_inside: Callable[[], bool],
        boot: Callable[[], int],
    ) -> None:  # fmt: skip
        self._cluster = cluster
        self._words = words
        self._go = go
        self._boot = boot
        self.is_inside = is_inside
        """Whether this is the thread that members are called in: it must not wait for a call."""

    def __repr__(self) -> str:
        return f"<Live {' '.join(self._words) or 'all'}: {len(self)}>"

    @property
    def services(self) -> tuple[Service, ...]:
        """The members there are now, in the order of their discovery; none when we have left."""
        try:
            return self._cluster.resolve(*self._words)
        except NotJoined:
            return ()

    @property
    def boot(self) -> int | None:
        """The number of our own run, new at each join; None as long as we are not in the mesh, and
        know nothing of its members.
        """
        try:
            return self._boot()
        except NotJoined:
            return None

    def __iter__(self) -> Any:
        return iter(self.services)

    def __len__(self) -> int:
        return len(self.services)

    def exposes(self, name: str) -> bool:
        """Whether any of them exposes a function."""
        offering = self._cluster.exposed.get(name, ())
        return any(service in offering for service in self.services)

    def watch(
        self, changed: Callable[[], object], *, lost: Callable[[Service], object] | None = None
    ) -> Callable[[], None]:
        """Has ``changed`` called whenever the members may be others: one has come, has changed what
        it says of itself, or is lost. As hooks are: on a thread, or in the loop of an
        ``AsyncCluster``. What is returned ends it.

        Args:
            lost: gets each member that is lost, of the whole mesh, before ``changed`` is called;
                its ``reason`` says why.
        """

        def told(service: Service) -> None:
            if service.reason and lost is not None:
                lost(service)
            changed()

        for point in POINTS:
            self._cluster.hook(point)(told)  # type: ignore[call-overload]

        def end() -> None:
            self._cluster.unhook(told)

        return end

    def go(
        self, service: Service, name: str, args: tuple[Any, ...], named: dict[str, Any],
        timeout: float,
    ) -> Future[Any]:  # fmt: skip
        """Calls a function that one of them exposes, once; from any thread. A future of threads."""
        return self._go(name, *args, where=service, retries=0, timeout=timeout, **named)

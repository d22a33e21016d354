"""Whole members in virtual time: real clusters with their drivers, tasks and timers, in an event
loop whose clock jumps to the next timer instead of waiting for it::

    async def main(mesh):
        clusters = [await mesh.join(f"m{n}") for n in range(30)]
        await clusters[0].wait_for_services(29)
        await asyncio.sleep(3600)                   # takes no time

    run(main, seed=7)

``Simulation`` runs nodes alone and many more of them; here the asynchronous shell is what is seen
at work. They talk by the ``memory`` protocol and are found in memory, so no socket is opened. The
same seed gives the same run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterable, Mapping
from random import Random
from typing import Any, TypeVar

from ..announcers import Announcer
from ..announcers.base import AnnouncerReceiver
from ..cluster import AsyncCluster
from ..config import ClusterConfig
from ..errors import ConfigError
from ..model import LOOPBACK, Address, Endpoint
from ..protocols.base import ProtocolHandler
from ..runtime.realm import Realm
from .cables import CabledHandler, Cables
from .network import Network

T = TypeVar("T")

FIRST_BOOT = 2**63
"""Above every boot number that a clock gives, so that no clock is asked."""


class _Jumping(selectors.DefaultSelector):
    """Does not wait: tells how long it would have, where nothing has come."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits, and no timer is set: nothing will ever happen")
        if not ready and timeout is not None:
            self._jump(timeout)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0. What runs takes no time, and threads that
    it waits for are not waited for.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class MemoryAnnouncer:
    """Datagrams between the members of one mesh in memory, with delay and loss."""

    def __init__(self, mesh: VirtualMesh, number: int) -> None:
        self._mesh = mesh
        self.number = number
        self.port = number
        self._receiver: AnnouncerReceiver | None = None

    @property
    def source(self) -> Address:
        """Where its datagrams come from."""
        return (LOOPBACK, self.port)

    async def open(self) -> None:
        """It always works."""

    def start(self, receiver: AnnouncerReceiver) -> None:
        """Begins to receive."""
        self._receiver = receiver
        self._mesh.announcers[self.port] = self

    def announce(self, data: bytes) -> None:
        """To everybody else."""
        for other in list(self._mesh.announcers.values()):
            if other is not self:
                self._fly(data, other)

    def reaches(self, address: Address) -> bool:
        """There is no other way here."""
        return True

    def send(self, data: bytes, address: Address) -> None:
        """To one; who has left refuses."""
        other = self._mesh.announcers.get(address[1])
        if other is not None:
            self._fly(data, other)
        elif self._receiver is not None:
            delay = 2 * self._mesh.network.delay()
            asyncio.get_running_loop().call_later(delay, self._refused, address)

    def _fly(self, data: bytes, other: MemoryAnnouncer) -> None:
        network, cables = self._mesh.network, self._mesh.cables
        ends = self.number, other.number
        if network.connected(*map(str, ends)) and cables.connect(*ends):
            for _ in range(network.copies()):
                delay = network.delay()
                asyncio.get_running_loop().call_later(delay, other.arrived, data, self.source)

    def arrived(self, data: bytes, source: Address) -> None:
        """A datagram came."""
        if self._receiver is not None:
            self._receiver.datagram_received(data, source)

    def _refused(self, address: Address) -> None:
        if self._receiver is not None:
            self._receiver.datagram_refused(address)

    def close(self) -> None:
        """Stops to receive."""
        self._receiver = None
        self._mesh.announcers.pop(self.port, None)


class VirtualCluster(AsyncCluster):
    """A cluster of a ``VirtualMesh``: it draws from the seed and is found in memory."""

    def __init__(self, mesh: VirtualMesh, number: int) -> None:
        super().__init__()
        self._mesh = mesh
        self._number = number
        self._random = Random(f"{mesh.seed}/{number}")
        self._id = self._random.randbytes(16)
        self._boot = FIRST_BOOT + number

    async def _open_announcers(self, config: ClusterConfig, realm: Realm) -> list[Announcer]:
        return [MemoryAnnouncer(self._mesh, self._number)]

    async def _endpoints(
        self, config: ClusterConfig, realm: Realm, handlers: dict[str, ProtocolHandler], *,
        networked: bool,
    ) -> list[Endpoint]:  # fmt: skip
        endpoints = await super()._endpoints(config, realm, handlers, networked=networked)
        mesh = self._mesh
        for endpoint in endpoints:
            mesh.listeners[str(endpoint.props["name"])] = self._number
            handlers[endpoint.scheme] = CabledHandler(
                handlers[endpoint.scheme], mesh.cables, self._number,
                lambda other: mesh.listeners.get(str(other.props.get("name")), self._number),
            )  # fmt: skip
        return endpoints


class VirtualMesh:
    """Clusters in the running ``JumpingLoop``. ``network`` has the faults of datagrams; sides of a
    partition are named by ``str`` of the order of joining, from 1.
    """

    def __init__(self, seed: int, *, loss: float = 0.0) -> None:
        self.seed = seed
        self.network = Network(Random(f"{seed}"), loss=loss)
        self.cables = Cables()
        self.announcers: dict[int, MemoryAnnouncer] = {}
        """By the address that each has now."""
        self.listeners: dict[str, int] = {}
        """Whose the endpoints are."""
        self.clusters: list[AsyncCluster] = []

    def unplug(self, cluster: AsyncCluster) -> None:
        """A member's cable is out: nothing goes to it nor comes from it, and links hold it."""
        self.cables.unplug(self.clusters.index(cluster) + 1)

    def plug(self, cluster: AsyncCluster) -> None:
        """The cable is in again."""
        self.cables.plug(self.clusters.index(cluster) + 1)

    def swap(self, one: AsyncCluster, other: AsyncCluster) -> None:
        """Two members have each other's addresses from now on."""
        numbers = [self.clusters.index(each) + 1 for each in (one, other)]
        first, second = (each for n in numbers for each in self._announcers_of(n))
        first.port, second.port = second.port, first.port
        self.announcers |= {each.port: each for each in (first, second)}

    def _announcers_of(self, number: int) -> list[MemoryAnnouncer]:
        return [each for each in self.announcers.values() if each.number == number]

    async def join(
        self, name: str, *, tags: Iterable[str] = (), hooks: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> AsyncCluster:  # fmt: skip
        """A member joins, with hooks placed before. It leaves when the run ends.

        Raises:
            ConfigError: not in a ``JumpingLoop``, or a setting that cannot work.
        """
        if not isinstance(asyncio.get_running_loop(), JumpingLoop):
            raise ConfigError("a VirtualMesh needs a JumpingLoop: see run()")
        cluster = VirtualCluster(self, len(self.clusters) + 1)
        self.clusters.append(cluster)
        for point, function in (hooks or {}).items():
            cluster._place(point, function, channel=None, protocol=None, order=0)
        await cluster.join(tags, name=name, protocols=["memory"], **settings)
        return cluster


def run(
    main: Callable[[VirtualMesh], Coroutine[Any, Any, T]], *, seed: int, loss: float = 0.0
) -> T:
    """Runs ``main`` with a mesh in virtual time, ends all members, returns what it returned."""

    async def whole() -> T:
        mesh = VirtualMesh(seed, loss=loss)
        try:
            return await main(mesh)
        finally:
            for cluster in mesh.clusters:
                await cluster.leave()

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(whole())

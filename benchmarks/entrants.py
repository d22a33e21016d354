"""Who takes part in a measurement, and who of them is here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from .programs import program
from .task import FUNCTIONS, HANDED_OVER, PROMISES, SSH, TCP, UDP, UNIX, ZEROMQ

BLOCKING = "meshcluster, blocking"
AWAITED = "meshcluster, async"
ZENOH = "zenoh"
BATCHES = "sockets, 64 a write"
SOCKETS = "sockets"
SEALED = "meshcluster, sealed"
OPEN = "meshcluster, open"
NATS = "nats"
JETSTREAM = "nats, JetStream"
PYRE = "pyre"
PYRO = "Pyro5"
PYRO_BATCHES = "Pyro5, 64 a batch"
RPYC = "rpyc"
GRPC = "grpc"
GRPC_AWAITED = "grpc, asyncio"
ZMQ = "pyzmq"
MANAGER = "multiprocessing"
SERF = "serf"
MDNS = "zeroconf"
EXECNET = "execnet"
EXECNET_BATCHES = "execnet, 100 a message"
FABRIC = "Fabric"
PARALLEL_SSH = "parallel-ssh"

AWAITED_CALLS = tuple(f"{AWAITED}: {function}" for function in FUNCTIONS)
BLOCKING_CALLS = tuple(f"{BLOCKING}: {function}" for function in FUNCTIONS)
"""Calls instead of queries, by how what is called is exposed."""

AWAITED_QUEUES = tuple(f"{AWAITED}: {promise}" for promise in PROMISES)
BLOCKING_QUEUES = tuple(f"{BLOCKING}: {promise}" for promise in PROMISES)
"""Queues, by what they promise."""

DISPATCHED = tuple(f"meshcluster, {how}" for how in HANDED_OVER)
"""Work behind ssh, by how it is handed over."""

OURS = (
    BLOCKING, AWAITED, SEALED, OPEN,
    *AWAITED_CALLS, *BLOCKING_CALLS, *AWAITED_QUEUES, *BLOCKING_QUEUES,
    *DISPATCHED,
)  # fmt: skip

MEMBERS = {
    BLOCKING: "blocking",
    AWAITED: "awaited",
    ZENOH: "zenoh",
    BATCHES: "batches",
    SOCKETS: "sockets",
    SEALED: "blocking",
    OPEN: "open",
    NATS: "nats",
    JETSTREAM: "jetstream",
    PYRE: "pyre",
    PYRO: "pyro",
    PYRO_BATCHES: "pyro_batches",
    RPYC: "rpyc",
    GRPC: "grpc",
    GRPC_AWAITED: "grpc_awaited",
    ZMQ: "zmq",
    MANAGER: "manager",
    SERF: "serf",
    MDNS: "zeroconf",
    EXECNET: "execnet",
    EXECNET_BATCHES: "execnet_batches",
    FABRIC: "fabric",
    PARALLEL_SSH: "parallel_ssh",
    **{name: f"awaited: {what}" for name, what in zip(AWAITED_CALLS, FUNCTIONS, strict=True)},
    **{name: f"blocking: {what}" for name, what in zip(BLOCKING_CALLS, FUNCTIONS, strict=True)},
    **{name: f"awaited: {what}" for name, what in zip(AWAITED_QUEUES, PROMISES, strict=True)},
    **{name: f"blocking: {what}" for name, what in zip(BLOCKING_QUEUES, PROMISES, strict=True)},
    **{name: f"dispatched: {how}" for name, how in zip(DISPATCHED, HANDED_OVER, strict=True)},
}
"""The ``Task.member`` of each."""

WAYS = {
    ZENOH: (UNIX, TCP),
    NATS: (TCP,),
    JETSTREAM: (TCP,),
    PYRE: (TCP,),
    PYRO: (UNIX,),
    PYRO_BATCHES: (UNIX,),
    RPYC: (UNIX,),
    GRPC: (UNIX,),
    GRPC_AWAITED: (UNIX,),
    ZMQ: (UNIX,),
    MANAGER: (UNIX,),
    SERF: (UDP,),
    EXECNET: (SSH,),
    EXECNET_BATCHES: (SSH,),
    FABRIC: (SSH,),
    PARALLEL_SSH: (SSH,),
}
"""By what each peer talks when it is at its best on one host."""

MODULES = {
    ZENOH: ["zenoh"],
    NATS: ["nats"],
    JETSTREAM: ["nats"],
    PYRE: ["pyre"],
    PYRO: ["Pyro5", "msgpack"],
    PYRO_BATCHES: ["Pyro5", "msgpack"],
    RPYC: ["rpyc"],
    GRPC: ["grpc"],
    GRPC_AWAITED: ["grpc"],
    SERF: ["msgpack"],
    EXECNET: ["execnet"],
    EXECNET_BATCHES: ["execnet"],
    FABRIC: ["fabric"],
    PARALLEL_SSH: ["pssh"],
}
PROGRAMS = {NATS: "nats-server", JETSTREAM: "nats-server", SERF: "serf"}
"""Without which one cannot take part."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One row of a table."""

    name: str
    way: str
    """See ``task.py``."""

    @property
    def member(self) -> str:
        """Who plays."""
        return MEMBERS[self.name]

    def peer(self, name: str) -> Entrant:
        """Whom it is compared with: the same way, or what lies below it on one host."""
        return Entrant(name, UNIX if self.way == ZEROMQ else self.way)

    def __str__(self) -> str:
        return f"{self.name}, {self.way}"


def entrants(*names: str, ways: tuple[str, ...] = (UNIX, TCP)) -> list[Entrant]:
    """Each of these in each of these ways."""
    return [Entrant(name, way) for name in names for way in ways]


def talking(*names: str) -> list[Entrant]:
    """Each of these by UNIX sockets and by TCP, and our own faces by ZeroMQ."""
    ours = [name for name in names if name in (BLOCKING, AWAITED)]
    return [*entrants(*names), *entrants(*ours, ways=(ZEROMQ,))]


def absent() -> dict[str, str]:
    """Who cannot take part here, and why."""
    why = {}
    for name, modules in MODULES.items():
        lacking = [module for module in modules if find_spec(module) is None]
        if name in PROGRAMS and program(PROGRAMS[name]) is None:
            lacking.append(PROGRAMS[name])
        if lacking:
            why[name] = f"{' and '.join(lacking)} not installed"
    return why

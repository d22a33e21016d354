"""``python -m benchmarks.members TASK``: plays one role; ends with its stdin."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..task import FUNCTIONS, HANDED_OVER, PROMISES, Line, Task
from . import roles

MEMBERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "awaited": ("awaited", "Awaited", {}),
    "batches": ("sockets", "Sockets", {"batched": True}),
    "blocking": ("blocking", "Blocking", {}),
    "execnet": ("execnet_peer", "Execnet", {"batched": False}),
    "execnet_batches": ("execnet_peer", "Execnet", {"batched": True}),
    "fabric": ("fabric_peer", "Fabric", {}),
    "grpc": ("grpc_peer", "Grpc", {}),
    "grpc_awaited": ("grpc_awaited_peer", "AwaitedGrpc", {}),
    "jetstream": ("jetstream_peer", "JetStream", {}),
    "manager": ("manager_peer", "Manager", {}),
    "nats": ("nats_peer", "Nats", {}),
    "open": ("blocking", "Blocking", {"open": True}),
    "parallel_ssh": ("pssh_peer", "ParallelSsh", {}),
    "pyre": ("pyre_peer", "Pyre", {}),
    "pyro": ("pyro_peer", "Pyro", {}),
    "pyro_batches": ("pyro_peer", "Pyro", {"batched": True}),
    "rpyc": ("rpyc_peer", "Rpyc", {}),
    "serf": ("serf_peer", "Serf", {}),
    "sockets": ("sockets", "Sockets", {"batched": False}),
    "zenoh": ("zenoh_peer", "Zenoh", {}),
    "zeroconf": ("zeroconf_peer", "ByMdns", {}),
    "zmq": ("zmq_peer", "Zmq", {}),
    **{f"awaited: {what}": ("calls", "AwaitedCalls", {"function": what}) for what in FUNCTIONS},
    **{f"blocking: {what}": ("calls", "BlockingCalls", {"function": what}) for what in FUNCTIONS},
    **{f"awaited: {what}": ("queues", "AwaitedQueues", {"promise": what}) for what in PROMISES},
    **{f"blocking: {what}": ("queues", "BlockingQueues", {"promise": what}) for what in PROMISES},
    **{f"dispatched: {how}": ("dispatched", "Dispatched", {"how": how}) for how in HANDED_OVER},
}
"""By ``Task.member``: the module, the class in it, and how it is made."""

AWAITED = (
    "awaited", "grpc_awaited", "jetstream", "nats",
    *(f"awaited: {what}" for what in (*FUNCTIONS, *PROMISES)),
)  # fmt: skip


def main(text: str) -> None:
    """Plays the role of a task, given as JSON."""
    task = Task(**json.loads(text))
    if not task.uvloop:
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if it were not installed
    module, name, options = MEMBERS[task.member]
    # Nobody pays for the imports of others.
    member = getattr(import_module(f"{__package__}.{module}"), name)(**options)
    if task.waits and not Line().hear():
        return
    if task.member in AWAITED:
        play_awaited(member, task)
    else:
        getattr(roles, task.role)(member, task, Line())


def play_awaited(member: Any, task: Task) -> None:
    """A member of an event loop: uvloop's where that may be used."""
    from . import awaited_roles

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(getattr(awaited_roles, task.role)(member, task, Line()))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, or asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


main(sys.argv[1])

"""The public names, imported when one is first asked for.

So ``import meshcluster`` costs nothing, and a command that only says its version or its help need
not wait for asyncio and all the rest.
"""

from __future__ import annotations

import sys
from importlib import import_module

PACKAGE = "meshcluster"

HOMES = {
    "channels": ("Channels",),
    "cluster": ("AsyncCluster",),
    "encoding": ("dumps", "loads"),
    "errors": (
        "ArgumentError",
        "CallsFailed",
        "ClusterError",
        "CommandFailed",
        "CommandTimeout",
        "ConfigError",
        "Congested",
        "DeadLetter",
        "DecodeError",
        "DialFailed",
        "DispatcherClosed",
        "DispatchError",
        "EncodeError",
        "ForkedClusterError",
        "HookError",
        "HookFailed",
        "HookRejected",
        "Interrupted",
        "JobError",
        "JobsFailed",
        "LinkError",
        "MessageTooLarge",
        "MissingJob",
        "NoResponder",
        "NoRoute",
        "NoServices",
        "NoSites",
        "NotAcknowledged",
        "NotExposed",
        "NotJoined",
        "NoWorkers",
        "OutcomeUnknown",
        "Overloaded",
        "PluginError",
        "QueryError",
        "QueryTimeout",
        "QueueClosed",
        "QueueError",
        "QueueFull",
        "QueueMismatch",
        "RemoteError",
        "ServiceLost",
        "SiteLost",
        "SiteUnreachable",
        "SudoFailed",
        "TaskRaised",
        "TaskTimeout",
        "TransferFailed",
        "Undelivered",
        "WireError",
        "WorkerLost",
    ),
    "hooks": ("PASS",),
    "jobs.action": ("Action", "AsyncAction"),
    "jobs.events": ("LineWritten", "PairBegan", "PairEnded", "RunBegan", "RunEnded"),
    "jobs.jobs": ("AsyncBatch", "AsyncJobs", "Batch", "Jobs"),
    "jobs.outcomes": ("Failure", "Outcome", "Pair", "RunResult"),
    "jobs.passwords": ("Passwords",),
    "jobs.plan": ("Plan",),
    "jobs.result": ("CommandResult",),
    "jobs.serving": ("allow_commands",),
    "jobs.shell": ("AsyncShell", "Shell"),
    "jobs.site": ("Site",),
    "jobs.sites": ("Sites",),
    "live": ("Live",),
    "mailbox": ("AsyncMailbox",),
    "model": ("Endpoint", "Service"),
    "props": ("Props",),
    "query": ("STOP", "AsyncQuery"),
    "queues.queue": ("AsyncQueue", "Taken"),
    "rpc.call": ("AsyncCall", "Call"),
    "rpc.execution": ("Execution", "current_call"),
    "rpc.mapping": ("AsyncMapping", "Mapping"),
    "rpc.stream": ("AsyncStream", "Stream"),
    "runtime.mailboxes": ("LATER", "Letter"),
    "ssh.dispatcher": ("Dispatcher", "ServerStatus"),
    "ssh.far.serializer": ("Serializer",),
    "ssh.far.worker": ("TaskCancelled", "work"),
    "ssh.future": ("TaskFuture",),
    "ssh.launching": ("LogLine",),
    "ssh.server": ("Server",),
    "ssh.task": ("Attempt",),
    "sync.cluster": ("Cluster", "join"),
    "sync.mailbox": ("Mailbox",),
    "sync.query": ("Query",),
    "sync.queue": ("Queue",),
    "tags": ("Tags",),
    "timing": ("HOST", "LAN", "Timing"),
    "wire.message": ("Lost", "Message"),
}
"""Each module and the public names that live there, as ``meshcluster/__init__.py`` has them."""


def attribute(name: str) -> object:
    """A public name, or a module of the package; from then on the package has it itself.

    Raises:
        AttributeError: there is none.
    """
    package = sys.modules[PACKAGE]
    for home, names in HOMES.items():
        if name in names:
            value = getattr(import_module(f"{PACKAGE}.{home}"), name)
            setattr(package, name, value)
            return value
    if not name.startswith("_"):
        try:
            return import_module(f"{PACKAGE}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{PACKAGE}.{name}":
                raise
    raise AttributeError(f"module {PACKAGE!r} has no attribute {name!r}")


def listing() -> list[str]:
    """What ``dir(meshcluster)`` shows."""
    package = vars(sys.modules[PACKAGE])
    return sorted({*package, *package["__all__"]})

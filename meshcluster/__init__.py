"""Processes find each other and talk, with no server and no configuration.

::

    import meshcluster

    cluster = meshcluster.join(tags=["web"])
"""

from typing import TYPE_CHECKING

from .version import VERSION as __version__

if TYPE_CHECKING:
    from .channels import Channels
    from .cluster import AsyncCluster
    from .encoding import dumps, loads
    from .errors import (
        ArgumentError,
        CallsFailed,
        ClusterError,
        CommandFailed,
        CommandTimeout,
        ConfigError,
        Congested,
        DeadLetter,
        DecodeError,
        DialFailed,
        DispatcherClosed,
        DispatchError,
        EncodeError,
        ForkedClusterError,
        HookError,
        HookFailed,
        HookRejected,
        Interrupted,
        JobError,
        JobsFailed,
        LinkError,
        MessageTooLarge,
        MissingJob,
        NoResponder,
        NoRoute,
        NoServices,
        NoSites,
        NotAcknowledged,
        NotExposed,
        NotJoined,
        NoWorkers,
        OutcomeUnknown,
        Overloaded,
        PluginError,
        QueryError,
        QueryTimeout,
        QueueClosed,
        QueueError,
        QueueFull,
        QueueMismatch,
        RemoteError,
        ServiceLost,
        SiteLost,
        SiteUnreachable,
        SudoFailed,
        TaskRaised,
        TaskTimeout,
        TransferFailed,
        Undelivered,
        WireError,
        WorkerLost,
    )
    from .hooks import PASS
    from .jobs.action import Action, AsyncAction
    from .jobs.events import LineWritten, PairBegan, PairEnded, RunBegan, RunEnded
    from .jobs.jobs import AsyncBatch, AsyncJobs, Batch, Jobs
    from .jobs.outcomes import Failure, Outcome, Pair, RunResult
    from .jobs.passwords import Passwords
    from .jobs.plan import Plan
    from .jobs.result import CommandResult
    from .jobs.serving import allow_commands
    from .jobs.shell import AsyncShell, Shell
    from .jobs.site import Site
    from .jobs.sites import Sites
    from .live import Live
    from .mailbox import AsyncMailbox
    from .model import Endpoint, Service
    from .props import Props
    from .query import STOP, AsyncQuery
    from .queues.queue import AsyncQueue, Taken
    from .rpc.call import AsyncCall, Call
    from .rpc.execution import Execution, current_call
    from .rpc.mapping import AsyncMapping, Mapping
    from .rpc.stream import AsyncStream, Stream
    from .runtime.mailboxes import LATER, Letter
    from .ssh.dispatcher import Dispatcher, ServerStatus
    from .ssh.far.serializer import Serializer
    from .ssh.far.worker import TaskCancelled, work
    from .ssh.future import TaskFuture
    from .ssh.launching import LogLine
    from .ssh.server import Server
    from .ssh.task import Attempt
    from .sync.cluster import Cluster, join
    from .sync.mailbox import Mailbox
    from .sync.query import Query
    from .sync.queue import Queue
    from .tags import Tags
    from .timing import HOST, LAN, Timing
    from .wire.message import Lost, Message
else:  # see lazy.py, which has the same names
    from .lazy import attribute as __getattr__  # noqa: F401
    from .lazy import listing as __dir__  # noqa: F401

__all__ = (
    "Action",
    "ArgumentError",
    "AsyncAction",
    "AsyncBatch",
    "AsyncCall",
    "AsyncCluster",
    "AsyncJobs",
    "AsyncMailbox",
    "AsyncMapping",
    "AsyncQuery",
    "AsyncQueue",
    "AsyncShell",
    "AsyncStream",
    "Attempt",
    "Batch",
    "Call",
    "CallsFailed",
    "Channels",
    "Cluster",
    "ClusterError",
    "CommandFailed",
    "CommandResult",
    "CommandTimeout",
    "ConfigError",
    "Congested",
    "DeadLetter",
    "DecodeError",
    "DialFailed",
    "DispatchError",
    "Dispatcher",
    "DispatcherClosed",
    "EncodeError",
    "Endpoint",
    "Execution",
    "Failure",
    "ForkedClusterError",
    "HOST",
    "HookError",
    "HookFailed",
    "HookRejected",
    "Interrupted",
    "JobError",
    "Jobs",
    "JobsFailed",
    "LAN",
    "LATER",
    "Letter",
    "LineWritten",
    "LinkError",
    "Live",
    "LogLine",
    "Lost",
    "Mailbox",
    "Mapping",
    "Message",
    "MessageTooLarge",
    "MissingJob",
    "NoResponder",
    "NoRoute",
    "NoServices",
    "NoSites",
    "NoWorkers",
    "NotAcknowledged",
    "NotExposed",
    "NotJoined",
    "Outcome",
    "OutcomeUnknown",
    "Overloaded",
    "PASS",
    "Pair",
    "PairBegan",
    "PairEnded",
    "Passwords",
    "Plan",
    "PluginError",
    "Props",
    "Query",
    "QueryError",
    "QueryTimeout",
    "Queue",
    "QueueClosed",
    "QueueError",
    "QueueFull",
    "QueueMismatch",
    "RemoteError",
    "RunBegan",
    "RunEnded",
    "RunResult",
    "STOP",
    "Serializer",
    "Server",
    "ServerStatus",
    "Service",
    "ServiceLost",
    "Shell",
    "Site",
    "SiteLost",
    "SiteUnreachable",
    "Sites",
    "Stream",
    "SudoFailed",
    "Tags",
    "Taken",
    "TaskCancelled",
    "TaskFuture",
    "TaskRaised",
    "TaskTimeout",
    "Timing",
    "TransferFailed",
    "Undelivered",
    "WireError",
    "WorkerLost",
    "__version__",
    "allow_commands",
    "current_call",
    "dumps",
    "join",
    "loads",
    "work",
)

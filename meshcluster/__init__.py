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
        LinkError,
        MessageTooLarge,
        NoResponder,
        NoRoute,
        NoServices,
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
        TaskRaised,
        TaskTimeout,
        Undelivered,
        WireError,
        WorkerLost,
    )
    from .hooks import PASS
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
    "ArgumentError",
    "AsyncCall",
    "AsyncCluster",
    "AsyncMailbox",
    "AsyncMapping",
    "AsyncQuery",
    "AsyncQueue",
    "AsyncStream",
    "Attempt",
    "Call",
    "CallsFailed",
    "Channels",
    "Cluster",
    "ClusterError",
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
    "ForkedClusterError",
    "HOST",
    "HookError",
    "HookFailed",
    "HookRejected",
    "LAN",
    "LATER",
    "Letter",
    "LinkError",
    "Live",
    "LogLine",
    "Lost",
    "Mailbox",
    "Mapping",
    "Message",
    "MessageTooLarge",
    "NoResponder",
    "NoRoute",
    "NoServices",
    "NoWorkers",
    "NotAcknowledged",
    "NotExposed",
    "NotJoined",
    "OutcomeUnknown",
    "Overloaded",
    "PASS",
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
    "STOP",
    "Serializer",
    "Server",
    "ServerStatus",
    "Service",
    "ServiceLost",
    "Stream",
    "Tags",
    "Taken",
    "TaskCancelled",
    "TaskFuture",
    "TaskRaised",
    "TaskTimeout",
    "Timing",
    "Undelivered",
    "WireError",
    "WorkerLost",
    "__version__",
    "current_call",
    "dumps",
    "join",
    "loads",
    "work",
)

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
    from .errors import (
        ArgumentError,
        CallsFailed,
        ClusterError,
        ConfigError,
        Congested,
        DecodeError,
        DialFailed,
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
        OutcomeUnknown,
        Overloaded,
        PluginError,
        QueryError,
        QueryTimeout,
        RemoteError,
        ServiceLost,
        WireError,
    )
    from .hooks import PASS
    from .mailbox import AsyncMailbox
    from .model import Endpoint, Service
    from .props import Props
    from .query import STOP, AsyncQuery
    from .rpc.call import AsyncCall, Call
    from .rpc.execution import Execution, current_call
    from .rpc.mapping import AsyncMapping, Mapping
    from .rpc.stream import AsyncStream, Stream
    from .runtime.mailboxes import LATER, Letter
    from .sync.cluster import Cluster, join
    from .sync.mailbox import Mailbox
    from .sync.query import Query
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
    "AsyncStream",
    "Call",
    "CallsFailed",
    "Channels",
    "Cluster",
    "ClusterError",
    "ConfigError",
    "Congested",
    "DecodeError",
    "DialFailed",
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
    "Lost",
    "Mailbox",
    "Mapping",
    "Message",
    "MessageTooLarge",
    "NoResponder",
    "NoRoute",
    "NoServices",
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
    "RemoteError",
    "STOP",
    "Service",
    "ServiceLost",
    "Stream",
    "Tags",
    "Timing",
    "WireError",
    "__version__",
    "current_call",
    "join",
)

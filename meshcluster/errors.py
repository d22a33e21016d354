"""Every exception of the package, in one tree. What the caller did wrong, what the other side
did wrong and what the network did are told apart.

    ClusterError
    ├─ ConfigError (ValueError)         a setting that cannot work; the text names it
    ├─ PluginError                      an unknown or doubly claimed protocol
    ├─ NotJoined                        used before join or after leave
    ├─ ForkedClusterError               used in a forked child; the member is its parent's
    ├─ WireError
    │  ├─ DecodeError                   they sent what nobody may send
    │  └─ EncodeError (ValueError)      we were asked to send what cannot be sent
    │     └─ MessageTooLarge
    ├─ LinkError (OSError)
    │  ├─ DialFailed                    one endpoint could not be opened
    │  └─ NoRoute                       every endpoint was tried; ``attempts`` says why each failed
    ├─ HookError
    │  ├─ HookRejected                  a hook said no
    │  │  └─ Overloaded                 for now: there are too many
    │  └─ HookFailed                    a hook broke; its exception is the cause
    ├─ NoServices (LookupError)         nobody matched
    ├─ Congested (TimeoutError)         a receiver has not taken its messages in time
    ├─ QueueError
    │  ├─ QueueClosed                   put into a queue that was closed
    │  ├─ QueueFull (TimeoutError)      there was no room for an item in time
    │  ├─ QueueMismatch                 the other side has other items in a queue of this name
    │  ├─ Undelivered (TimeoutError)    closed in time or not, ``items`` are not done
    │  └─ DeadLetter                    so many consumers failed with an item that no other gets it
    ├─ DispatchError
    │  ├─ NoWorkers (LookupError)       no server can be reached that would do a task
    │  ├─ WorkerLost                    so many workers were lost with a task; ``attempts``
    │  ├─ TaskTimeout (TimeoutError)    a task took longer than it may
    │  ├─ TaskRaised                    it raised what is no exception of Python's own
    │  └─ DispatcherClosed (RuntimeError)  nothing is taken any more
    ├─ JobError
    │  ├─ CommandFailed                 a command ended with another status than 0; ``result``
    │  ├─ CommandTimeout (TimeoutError)  it took longer than it may; ``result`` is what there was
    │  ├─ SiteUnreachable (OSError)     nothing was begun there
    │  ├─ SiteLost (OSError)            it went away in the middle: perhaps done, perhaps not
    │  ├─ SudoFailed                    no password, or none that is right
    │  ├─ TransferFailed                files were not brought over, or must not be
    │  ├─ Interrupted                   the run was stopped
    │  ├─ MissingJob (LookupError)      there is no job of that name
    │  ├─ NoSites (LookupError)         nothing matched where something must
    │  └─ JobsFailed                    not all of a run is ok; ``result`` says what
    └─ QueryError
       ├─ QueryTimeout (TimeoutError)   ``results`` and ``errors`` hold what did arrive
       ├─ RemoteError                   the responder or function of ``service`` raised
       ├─ NoResponder                   nothing there answers
       ├─ ServiceLost                   the member left or died before it answered
       ├─ OutcomeUnknown                of what left: perhaps it was done, perhaps not
       ├─ NotExposed (LookupError)      nobody exposes the function that was called
       ├─ ArgumentError (TypeError)     the arguments of a call do not fit; ``field`` says which
       ├─ NotAcknowledged (ExceptionGroup)  ``errors`` says which of several did not handle it
       └─ CallsFailed (ExceptionGroup)  ``errors`` says of whom there is no result
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .jobs.outcomes import RunResult
    from .jobs.result import CommandResult
    from .model import Service


class ClusterError(Exception):
    """The root of all errors of this package."""


class ConfigError(ClusterError, ValueError):
    """A setting that cannot work. The text names the setting and says what would work."""


class PluginError(ClusterError):
    """A protocol or an announcer that is not known here, or that two packages claim."""


class NotJoined(ClusterError):
    """The cluster was used before ``join`` or after ``leave``."""


class ForkedClusterError(ClusterError):
    """The cluster had joined before ``os.fork``: it is the parent's. Make a new one in the child.

    Leaving is no error there; it does nothing.
    """

    def __init__(self) -> None:
        super().__init__(
            "the cluster joined before os.fork() and belongs to the parent process: "
            "make a new Cluster in the child"
        )


class WireError(ClusterError):
    """What should travel, or did travel, does not fit the wire format."""


class DecodeError(WireError):
    """Received bytes that no correct member sends."""


class EncodeError(WireError, ValueError):
    """A value that cannot be sent exactly as it is. The text names the place inside the value."""


class MessageTooLarge(EncodeError):
    """A message, or an own description, that is larger than its limit."""


class LinkError(ClusterError, OSError):
    """A path to another member failed."""


class DialFailed(LinkError):
    """One endpoint of a member could not be opened."""


class NoRoute(LinkError):
    """No endpoint of a member could be opened.

    ``attempts`` is a tuple of (scheme, reason) in the order in which they were tried.
    """

    def __init__(self, text: str, attempts: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.attempts = tuple(attempts)


class HookError(ClusterError):
    """A hook stood in the way."""


class HookRejected(HookError):
    """Raised by a hook to veto a message or a member; the sender's call raises it."""


class Overloaded(HookRejected):
    """Raised by a ``receive`` hook to veto one message too many: who asked is told to try again."""


class HookFailed(HookError):
    """A hook raised something unexpected; the message was not sent. See ``__cause__``."""


class NoServices(ClusterError, LookupError):
    """Nobody matched what was asked for."""


class Congested(ClusterError, TimeoutError):
    """A receiver has not taken its waiting messages within ``send_seconds``, or at once where
    ``congestion="error"``. ``services`` are those that have too much waiting: nothing was sent to
    anybody, but may be to the others.
    """

    def __init__(self, text: str, services: Sequence[Service] = ()) -> None:
        super().__init__(text)
        self.services = tuple(services)


class DispatchError(ClusterError):
    """A dispatcher could not have a task done. ``attempts`` says which workers had it, and what
    became of each try.
    """

    def __init__(self, text: str, attempts: Sequence[Any] = ()) -> None:
        super().__init__(text)
        self.attempts = tuple(attempts)


class NoWorkers(DispatchError, LookupError):
    """No server can be reached, or there is none; the text says why of each. ``attempts`` are
    those before.
    """


class WorkerLost(DispatchError):
    """The workers that had a task were lost with it: it may have run, once in each of ``attempts``,
    and it may be what ended them.
    """


class TaskTimeout(DispatchError, TimeoutError):
    """A task took longer than its ``timeout``; it was ended. ``attempts`` says where."""


class TaskRaised(DispatchError):
    """A task raised an exception that is neither Python's own nor registered with the serializer.

    ``kind`` is the name of its class, ``text`` what it says, ``traceback`` where it was raised.
    """

    def __init__(self, kind: str, text: str, traceback: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.text = text
        self.traceback = traceback


class DispatcherClosed(DispatchError, RuntimeError):
    """The dispatcher was closed."""


class JobError(ClusterError):
    """Something about sites, commands and jobs."""


class CommandFailed(JobError):
    """A command ended with another status than 0, or by a signal. ``result`` has all of it."""

    def __init__(self, text: str, result: CommandResult) -> None:
        super().__init__(text)
        self.result = result


class CommandTimeout(JobError, TimeoutError):
    """A command took longer than its ``timeout``; it was ended. ``result`` has what it wrote."""

    def __init__(self, text: str, result: CommandResult | None = None) -> None:
        super().__init__(text)
        self.result = result


class SiteUnreachable(JobError, OSError):
    """The site ``site`` could not be reached: nothing was begun there. The text says why."""

    def __init__(self, text: str, site: str = "") -> None:
        super().__init__(text)
        self.site = site


class SiteLost(JobError, OSError):
    """The site ``site``, or the way to it, went away while a command ran: it may have been done, or
    in part. ``result`` has what it wrote.
    """

    def __init__(self, text: str, site: str = "", result: CommandResult | None = None) -> None:
        super().__init__(text)
        self.site = site
        self.result = result


class SudoFailed(JobError):
    """sudo was not content: there was nobody to ask for a password, or none of them was right, or
    the user may not.
    """


class TransferFailed(JobError):
    """Files were not brought over, or must not be; the text says what to do."""


class Interrupted(JobError):
    """The run was stopped: by Ctrl-C, at the question for a password, or by what cancelled it."""


class MissingJob(JobError, LookupError):
    """There is no job of that name; nothing was begun."""


class NoSites(JobError, LookupError):
    """A job matched fewer sites than it must; nothing was begun."""


class JobsFailed(JobError):
    """Not all of a run is ok. ``result`` says what became of each job on each site."""

    def __init__(self, text: str, result: RunResult) -> None:
        super().__init__(text)
        self.result = result


class QueryError(ClusterError):
    """A question that was not answered."""


class QueryTimeout(QueryError, TimeoutError):
    """The deadline of a query passed.

    ``results`` maps each service that answered to its answer, ``errors`` each that failed to its
    exception, ``missing`` is the tuple of services that stayed silent.
    """

    def __init__(
        self,
        text: str,
        results: Mapping[Service, Any],
        errors: Mapping[Service, Exception],
        missing: Sequence[Service],
    ) -> None:
        super().__init__(text)
        self.results = dict(results)
        self.errors = dict(errors)
        self.missing = tuple(missing)


class RemoteError(QueryError):
    """The responder raised. ``service`` answered with ``kind`` (the type's name) and ``text``; of a
    function that was called there is its ``traceback``, as text.
    """

    def __init__(self, service: Service, kind: str, text: str, traceback: str = "") -> None:
        super().__init__(f"{service.name} raised {kind}: {text}")
        self.service = service
        self.kind = kind
        self.text = text
        self.traceback = traceback


class NoResponder(QueryError):
    """The member ``service`` has no query hook, or none that answers this question; or no event
    hook that could acknowledge what was sent.
    """

    def __init__(
        self, service: Service, trouble: str = "has no query hook or mailbox that answers"
    ) -> None:
        super().__init__(f"{service.name} {trouble}")
        self.service = service


class ServiceLost(QueryError):
    """The member ``service`` left or died before it answered, or (``reason`` "leaving") takes no
    question any more.

    ``unhandled`` (bool, False by default): it is known that the member never had what it was asked,
    which had not left us, was turned away or came too late to who left; asking another one does
    nothing twice. False: it may have had it.
    """

    def __init__(self, service: Service, reason: str, *, unhandled: bool = False) -> None:
        verb = "is " if reason in ("unreachable", "refused", "leaving") else ""
        super().__init__(f"{service.name} {verb}{reason}")
        self.service = service
        self.reason = reason
        self.unhandled = unhandled


class OutcomeUnknown(QueryError):
    """What was sent with ``ack=True``, or a call, left, and no answer came (``reason``): the hooks
    or the function of ``service`` had it once or not at all. It is not sent again. The cause is
    the error that says why.
    """

    def __init__(self, service: Service, reason: str) -> None:
        super().__init__(f"{reason}: whether {service.name} handled it is not known")
        self.service = service
        self.reason = reason


class NotAcknowledged(QueryError, ExceptionGroup[Exception]):
    """Of several receivers of a ``send(ack=True)`` some did not handle it.

    ``handled`` is the tuple of services whose hooks returned, ``errors`` maps each of the others to
    what a send to it alone would have raised; ``except*`` takes these apart.
    """

    def __new__(
        cls, errors: Mapping[Service, Exception], handled: Sequence[Service]
    ) -> NotAcknowledged:  # fmt: skip
        """A group needs its text and its exceptions before ``__init__``."""
        text = f"{len(errors)} of {len(errors) + len(handled)} receivers did not handle it"
        return super().__new__(cls, text, list(errors.values()))

    def __init__(
        self, errors: Mapping[Service, Exception], handled: Sequence[Service]
    ) -> None:  # fmt: skip
        self.errors = dict(errors)
        self.handled = tuple(handled)


class NotExposed(QueryError, LookupError):
    """Nobody exposes the function ``name``, or nobody of those who may be called."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.name = name


class ArgumentError(QueryError, TypeError):
    """The arguments of a call do not fit the function; ``field`` is the name of the parameter, ""
    where it is none of them alone. The function was not called.
    """

    def __init__(self, text: str, field: str) -> None:
        super().__init__(text)
        self.field = field


class CallsFailed(QueryError, ExceptionGroup[Exception]):
    """Of several members that were called some gave no result.

    ``results`` maps each service that did to its result, ``errors`` each of the others to what a
    call of it alone would have raised; ``except*`` takes these apart.
    """

    def __new__(
        cls, errors: Mapping[Service, Exception], results: Mapping[Service, Any]
    ) -> CallsFailed:  # fmt: skip
        """A group needs its text and its exceptions before ``__init__``."""
        text = f"{len(errors)} of {len(errors) + len(results)} members gave no result"
        return super().__new__(cls, text, list(errors.values()))

    def __init__(
        self, errors: Mapping[Service, Exception], results: Mapping[Service, Any]
    ) -> None:  # fmt: skip
        self.errors = dict(errors)
        self.results = dict(results)


class QueueError(ClusterError):
    """Something about a queue."""


class QueueClosed(QueueError):
    """The queue was closed: nothing more is put into it."""


class QueueFull(QueueError, TimeoutError):
    """There are as many items that are not done as the queue's ``bound``, and were for as long as
    was waited.
    """


class QueueMismatch(QueueError):
    """A producer and a consumer do not mean the same queue: its mode or the type of its items
    differs. Both are told; ``service`` is the other one.
    """

    def __init__(self, name: str, service: Service, text: str) -> None:
        super().__init__(f"queue {name!r}: {service.name} refuses: {text}")
        self.name = name
        self.service = service


class Undelivered(QueueError, TimeoutError):
    """The queue was not drained in time; ``items`` are those that are not done, oldest first."""

    def __init__(self, name: str, items: Sequence[Any]) -> None:
        many = "an item is" if len(items) == 1 else f"{len(items)} items are"
        super().__init__(f"queue {name!r}: {many} not done")
        self.name = name
        self.items = tuple(items)


class DeadLetter(QueueError):
    """``deliveries`` consumers failed with ``item``: it is among the queue's dead letters."""

    def __init__(self, name: str, item: Any, deliveries: int) -> None:
        super().__init__(f"queue {name!r}: {deliveries} consumers failed with {item!r:.80}")
        self.name = name
        self.item = item
        self.deliveries = deliveries

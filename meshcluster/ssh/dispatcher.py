"""``Dispatcher``: an executor whose workers are behind ssh, here, or members of the mesh."""

from __future__ import annotations

import asyncio
import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, NamedTuple, Self

from ..config import check_timeout
from ..errors import (
    ClusterError,
    ConfigError,
    DispatcherClosed,
    DispatchError,
    EncodeError,
    MessageTooLarge,
)
from ..live import Live
from .engine import Engine, Link
from .far import framing
from .far.serializer import NAME, Unserializable
from .following import Following, Via
from .future import TaskFuture
from .launching import (
    Check,
    Launch,
    LogLine,
    Sent,
    client_options,
    log,
    refuse_with_members,
    seconds,
    usual,
    words,
)
from .member import Member
from .pool import Pool, Settings
from .room import Room
from .slot import Place, Slot
from .submitting import Submitting
from .task import Task, Terms
from .worker import Worker

START_MARGIN_SECONDS = 10.0
"""A worker has so long, beside the time to connect, to begin: interpreters on slow disks."""
BODY_BYTES = 64 << 20
EXIT_SECONDS = 5.0
LEAST_HEARTBEAT_SECONDS = 0.05
WORK = "work"
"""The function that a member must expose for ``dispatcher(value)``."""


class ServerStatus(NamedTuple):
    """A server as its dispatcher sees it now.

    Attributes:
        name: of the server.
        workers: how many processes it has, those that start or end included.
        running: how many tasks they have in hand.
        resting: seconds until it, or the worker of one of its slots, is tried again after it
            failed; 0 if it need not rest.
        why: why it could not be reached the last time; "" if it could.
    """

    name: str
    workers: int
    running: int
    resting: float
    why: str


class Dispatcher(Submitting, Executor):
    """Has workers elsewhere do tasks: a ``concurrent.futures.Executor``.

    Workers are long-lived processes, started when there is work: behind the user's own ssh client
    (so its configuration, agent and jump hosts apply), on this machine, or members of the mesh. At
    a host nothing need be installed but Python 3.8 or later. ``with`` closes it.

    Args:
        servers: hosts (``"user@host:port"``, or a name of ``~/.ssh/config``), dicts with the fields
            of ``Server``, or ``Server``s; in a list, or a dict by name. Or
            ``cluster.live("compute")``: members of the mesh, as they come and go.
        max_servers: so many workers are live at once; by default one in each slot.
        slots: workers of each server that does not say itself.
        command, python: of each server that does not say itself; see ``Server``.
        callback: ``"module:function"``, called with what ``dispatcher(value)`` is given, by
            workers that are sent there. (Those of ``command`` have their own.)
        modules: of yours, by name; they are sent to the workers, packages whole.
        setup: ``"module:function"``, called once in each worker that is sent, with its serializer.
        attempts, timeout, retry_on: of each task; see ``options``.
        window: how many tasks a worker is sent at once; by default 1, and more where they are
            done in less than 5 ms each.
        max_open: so many tasks are open at once: a further one waits until there is room, or with
            ``congestion="error"`` raises ``Congested``.
        ssh: the client: a program, or a list that begins with one.
        ssh_options: each is given to it with ``-o``, before ours (BatchMode=yes, ConnectTimeout,
            ServerAliveInterval and ServerAliveCountMax), which they so override.
        connect_timeout: seconds until a host is thought unreachable.
        keep_alive: seconds; ssh notices within three times as many that the network is gone.
        heartbeat: seconds; a worker that says nothing for three times as long, with a task in hand,
            is given up.
        idle: seconds after which a worker with nothing to do is ended; None: it is kept.
        patience: seconds that tasks wait for a first server of a live selection.
        via: how a member of a live selection is reached: a function that makes a ``Server`` of a
            ``Service``. By default what it exposes is called through the mesh.
        body_bytes: the most that arguments or a result may have.
        on_log: called with each ``LogLine`` that a task prints; by default the logger
            "meshcluster.ssh" has them, at level INFO.
        serializer: instead of a ``Serializer``: anything with ``name``, ``dumps`` and ``loads``.
        unsafe_pickle: send functions, classes and objects of any kind, by cloudpickle. Who can
            write to a worker's output can then run anything here, and the other way round: only
            for hosts that you trust as this one.

    Raises:
        ConfigError: a setting that cannot work; the text says which.
    """

    def __init__(
        self, servers: Any, max_servers: int | None = None, *, slots: int | None = None,
        command: str | Sequence[str] | None = None, python: str | None = None,
        callback: str | None = None, modules: Iterable[str] = (), setup: str | None = None,
        attempts: int = 3, timeout: float | None = None, retry_on: Any = (),
        window: int | None = None, max_open: int | None = None, congestion: str = "block",
        ssh: str | Sequence[str] = "ssh", ssh_options: Sequence[str] = (),
        connect_timeout: float = 10.0, keep_alive: float = 5.0, heartbeat: float = 10.0,
        idle: float | None = None, patience: float = 10.0,
        via: Via | None = None, body_bytes: int = BODY_BYTES,
        on_log: Callable[[LogLine], object] = log, serializer: Any = None,
        unsafe_pickle: bool = False,
    ) -> None:  # fmt: skip
        for name, number in (
            ("max_servers", max_servers), ("window", window), ("max_open", max_open),
            ("body_bytes", body_bytes),
        ):  # fmt: skip
            if number is not None and (type(number) is not int or number < 1):
                raise ConfigError(f"{name}={number!r}: a number of 1 or more")
        for name, function in (("on_log", on_log), ("via", via)):
            if function is not None and not callable(function):
                raise ConfigError(f"{name}={function!r}: a function")
        self._terms = Terms(attempts=attempts, timeout=timeout, retry_on=retry_on)
        self._serializer = usual(serializer, unsafe_pickle)
        self._pickles = unsafe_pickle
        self._body_bytes = body_bytes
        self._room = Room(max_open, congestion)
        self._numbers = itertools.count(1)
        defaults = {"slots": slots, "command": command, "python": python}
        following = Following(servers, via, defaults)
        self._meshed = following.live if following.meshed else None
        if following.meshed:
            refuse_with_members(
                modules=modules, callback=callback, setup=setup, serializer=serializer,
                command=command, python=python, unsafe_pickle=unsafe_pickle,
            )  # fmt: skip
        self._chunks = not following.meshed and self._serializer.name in (NAME, "pickle")
        self._learns = self._chunks and not following.has_callbacks
        self._can_call = bool(callback) or following.has_callbacks
        launch = Launch(
            ssh=words("ssh", (ssh,) if isinstance(ssh, str) else ssh, 1),
            options=(*words("ssh_options", ssh_options),
                     *client_options(connect_timeout, keep_alive)),
            shipment=Sent(words("modules", modules), callback, setup, unsafe_pickle).to,
            serializer=self._serializer, body_bytes=body_bytes, on_log=on_log,
            check=Check(self._serializer),
        )  # fmt: skip
        settings = Settings(
            max_servers=max_servers, window=window,
            start_seconds=connect_timeout + START_MARGIN_SECONDS,
            heartbeat_seconds=seconds("heartbeat", heartbeat, LEAST_HEARTBEAT_SECONDS),
            idle_seconds=None if idle is None else seconds("idle", idle),
            patience_seconds=seconds("patience", patience),
        )  # fmt: skip
        self._engine = Engine(Pool(settings), partial(_link, launch, following.live))
        self._abandon = weakref.finalize(self, _abandon, self._engine, following)
        following.begin(self._engine)

    def _submit(self, kind: bytes, work: Any, terms: Terms) -> TaskFuture:
        body = b""
        if kind == framing.CALL and not self._can_call:
            raise ConfigError(
                'dispatcher(value) wants callback="module:function", or a worker of '
                "your own: command="
            )
        if self._meshed is None:
            body = self._encoded(kind, work)
        elif kind == framing.CALL:
            work = (WORK, (work,), {})
        else:
            work = (work[0].rpartition(":")[2], *work[1:])
        if self._room.bounded:
            self._room.enter(lambda: not self._is_inside())
        task = Task(next(self._numbers), kind, body, work, terms)
        future = task.future = TaskFuture(task, self._cancel, self._check_outside)
        if self._room.bounded:
            future.add_done_callback(self._room.leave)
        if not self._engine.submit(task):
            self._room.leave()
            raise DispatcherClosed("the dispatcher was closed: it takes nothing more")
        return future

    def _encoded(self, kind: bytes, work: Any) -> bytes:
        try:
            body: bytes = self._serializer.dumps(work)
        except Unserializable as error:
            raise EncodeError(_place(kind, error)) from error
        except (ValueError, TypeError) as error:
            raise EncodeError(str(error)) from error
        if len(body) > self._body_bytes:
            raise MessageTooLarge(f"{len(body)} bytes, of {self._body_bytes} that body_bytes= has")
        return body

    def _is_inside(self) -> bool:
        """Whether what tasks need to end is done by this thread; in a forked child by nobody."""
        engine, live = self._engine, self._meshed
        return engine.inherited or engine.is_inside() or (live is not None and live.is_inside())

    def _check_outside(self) -> None:
        if self._engine.inherited:
            raise DispatchError("made before os.fork(): the parent has the result")
        if self._is_inside():
            raise ClusterError(
                "waiting here would be for ever: this thread is needed to end the task, for it is "
                "a future's callback, or the loop of the cluster whose members work: await it there"
            )

    def _cancel(self, task: Task) -> bool:
        return bool(self._engine.act(lambda pool, now: pool.cancel(task)))

    @property
    def servers(self) -> tuple[ServerStatus, ...]:
        """The servers as they are now."""
        return self._engine.act(lambda pool, now: tuple(_status(p, now) for p in pool.places))

    # --- the end ------------------------------------------------------------------------------

    def close(self, *, drain: bool = True, timeout: float | None = None) -> None:
        """Takes nothing more, ends what is open, and then all workers, here and there.

        Args:
            drain: waits for what runs and what waits. Otherwise what waits is cancelled, and what
                runs ends with ``DispatcherClosed``.
            timeout: seconds; what is open then is given up as without ``drain``.

        Closing twice is no error. In a forked child it does nothing.

        Raises:
            TimeoutError: it was not drained in time.
            ClusterError: it would wait for ever, in a future's callback; or, with tasks open, in
                the loop of the cluster whose members work. It takes nothing more all the same.
        """
        if timeout is not None:
            timeout = check_timeout(timeout)
        if self._end(timeout if drain else None, drain=drain):
            return
        self.close(drain=False)
        raise TimeoutError(f"tasks were open after {timeout:g} s: they were given up")

    def _end(self, timeout: float | None, *, drain: bool, **how: Any) -> bool:
        """Whether all has ended."""
        engine = self._engine
        if engine.inherited:
            return True

        def close(pool: Pool, now: float) -> int:
            pool.close(drain=drain, **how)
            return pool.endings.open

        if engine.act(close):
            self._check_outside()
        ended = engine.join(timeout)
        if ended:
            self._abandon()
        return ended

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As ``concurrent.futures.Executor`` has it: ``close``, without waiting if not asked to."""
        if wait:
            self._end(None, drain=True, cancel_waiting=cancel_futures)
        elif not self._engine.inherited:
            self._engine.act(
                lambda pool, now: pool.close(drain=True, cancel_waiting=cancel_futures)
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *given: Any) -> None:
        """Closes it, as ``with`` does, and lets the event loop go on meanwhile."""
        await asyncio.to_thread(self.__exit__, *given)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: Any
    ) -> None:
        """Closes it; Ctrl-C does not wait for what is open."""
        self.close(drain=kind is None or issubclass(kind, Exception))


def _place(kind: bytes, error: Unserializable) -> str:
    """What cannot be sent, in the words of who called: the work is (function, args, named)."""
    if kind == framing.RUN and error.path[:3] in ("[1]", "[2]"):
        return f"argument {error.path[3:].lstrip('[').replace(']', '', 1)}: {error.text}"
    return str(error)


def _link(launch: Launch, live: Live | None, slot: Slot, engine: Engine) -> Link:
    if slot.place.server.service is not None and live is not None:
        return Member(slot, engine, live)
    return Worker(slot, engine, launch)


def _abandon(engine: Engine, following: Following) -> None:
    """Nobody holds the dispatcher any more, or the interpreter ends: nothing is left behind."""
    if engine.inherited:
        return
    following.end()
    engine.abandon()
    if not threading.main_thread().is_alive():  # the interpreter ends: there is no later
        engine.join(EXIT_SECONDS)


def _status(place: Place, now: float) -> ServerStatus:
    until = max(rest.until for rest in (place.rest, *(slot.rest for slot in place.slots)))
    running = sum(len(slot.in_hand) for slot in place.slots)
    return ServerStatus(place.server.name, place.live, running, max(0.0, until - now), place.why)

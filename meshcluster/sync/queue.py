"""``Queue``: a queue of the blocking ``Cluster``."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..config import check_timeout
from ..errors import Undelivered
from ..queues.consuming import Delivery
from ..queues.producing import Producing
from ..queues.queue import READY_SECONDS, QueueBase, Taken
from ..rpc.mapping import Mapping, Progress, Window
from ..waits import InterruptibleFuture
from .bell import Bell

if TYPE_CHECKING:
    from ..queues.queues import Queues
    from ..queues.settings import Settings


class Queue(QueueBase):
    """A queue of a ``Cluster``: made by ``cluster.queue``. ``for item in queue`` takes items, each
    done when the next is asked for; it ends when all producers have closed and all their items are
    done. In ``with`` it is closed and joined at the end. Any thread may put and take.
    """

    def __init__(
        self, queues: Queues, name: str, settings: Settings,
        in_loop: Callable[[Callable[[], Any]], Any], check_outside: Callable[[], None],
    ) -> None:  # fmt: skip
        super().__init__(queues, name, settings)
        self._enter_loop = in_loop
        self._check_outside = check_outside
        self._bell = Bell()

    def _in_loop(self, function: Callable[[], Any]) -> Any:
        return self._enter_loop(function)

    def _changed(self) -> None:
        self._bell.ring()

    def _until(self, true: Callable[[], bool], timeout: float | None) -> bool:
        if true():
            return True
        self._check_outside()
        return self._bell.wait_for(true, timeout)

    # --- putting -------------------------------------------------------------------------------

    def put(self, item: Any, *, key: str | bytes | None = None, timeout: float = 30.0) -> None:
        """Puts an item; see ``AsyncQueue.put``. Waits only where ``bound`` items are not done."""
        producing = self._producing or self._producer()
        data = self._settings.dump(item)
        if producing.closed or producing.open >= self._settings.bound:
            self._room(producing, timeout)
        producing.put(data, key)

    def _room(self, producing: Producing, timeout: float) -> None:
        self._check_open(producing)
        bound = self._settings.bound
        if producing.open >= bound:
            if not self._until(
                lambda: producing.open < bound or producing.closed, check_timeout(timeout)
            ):
                raise self._full(timeout)
            self._check_open(producing)

    def submit(
        self, item: Any, *, key: str | bytes | None = None, timeout: float = 30.0
    ) -> Future[Any]:
        """Puts an item; the future has what came of it; see ``AsyncQueue.submit``."""
        producing = self._producing or self._producer()
        data = self._settings.dump(item)
        self._room(producing, timeout)
        return self._submit(producing, data, key)

    def _submit(self, producing: Producing, data: bytes, key: str | bytes | None) -> Future[Any]:
        future: Future[Any] = InterruptibleFuture()

        def tell(value: bytes | None, error: Exception | None) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                if error is not None:
                    raise error
                future.set_result(self._settings.load_result(value))
            except Exception as failure:
                future.set_exception(failure)

        producing.put(data, key, tell)
        return future

    def map(
        self, items: Iterable[Any], *, ordered: bool = True, progress: Progress | None = None
    ) -> Mapping:
        """Puts items and gives what came of each: an iterator; see ``AsyncQueue.map``."""
        producing = self._producing or self._producer()
        self._check_open(producing)

        def begin(item: Any) -> Future[Any]:
            self._check_open(producing)
            return self._submit(producing, self._settings.dump(item), None)

        window = Window(begin, items, self._settings.bound, ordered=ordered, progress=progress)
        return Mapping(window, self._check_outside)

    def wait_ready(self, count: int = 1, *, timeout: float = READY_SECONDS) -> None:
        """Returns when at least so many consumers take from it; see ``AsyncQueue.wait_ready``.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds.
        """
        producing = self._producer()
        if not self._until(lambda: len(producing.outlets.all) >= count, timeout):
            raise TimeoutError(
                f"{len(self.consumers)} of {count} consumers of {self.name!r} after {timeout:g} s"
            )
        self._in_loop(producing.outlets.reset_turn)

    def join(self, timeout: float | None = None) -> None:
        """Returns when all items that were put are done.

        Raises:
            Undelivered: they were not in time; it has those that are not.
        """
        producing = self._producing
        if producing is None:
            return
        if not self._until(lambda: producing.drained, timeout):
            raise Undelivered(self.name, self._in_loop(producing.undone))

    def close(self, drain_timeout: float | None = None) -> None:
        """Puts nothing more, and takes nothing more; see ``AsyncQueue.close``.

        Raises:
            Undelivered: not all was done within ``drain_timeout`` seconds; it has those items.
        """
        self._in_loop(self._close)
        producing = self._producing
        if producing is None or drain_timeout is None:
            return
        if not self._until(lambda: producing.drained, check_timeout(drain_timeout)):
            items = self._in_loop(producing.undone)
            self._in_loop(producing.give_up)
            raise Undelivered(self.name, items)

    # --- taking --------------------------------------------------------------------------------

    def get(self, timeout: float | None = None) -> Taken | None:
        """The next item; None when there will be none; see ``AsyncQueue.get``.

        Raises:
            TimeoutError: there was none for ``timeout`` seconds.
            QueueMismatch, DecodeError: see there.
        """
        if not self._readers:
            self._in_loop(self._start_getting)
        delivery = self._next(timeout)
        return None if delivery is None else Taken(self, delivery, self._load(delivery))

    def _next(self, timeout: float | None = None) -> Delivery | None:
        consuming = self._consuming
        while consuming is not None:
            delivery = self._next_now()
            if delivery is not None:
                return delivery
            self._takers += 1
            try:
                consuming.want(self._takers)
                came = self._until(lambda: bool(self._shelf) or consuming.over, timeout)
            finally:
                self._takers -= 1
            if not came:
                raise TimeoutError(f"queue {self.name!r}: nothing came for {timeout:g} s")
            if not self._shelf and consuming.over:
                if consuming.failure is not None:
                    raise consuming.failure
                break
        return None

    def deliveries(self) -> Generator[Taken, None, None]:
        """The items one after the other, each to be settled by ``done`` or ``reject``."""
        self._in_loop(self._start_consuming)
        try:
            while (delivery := self._next()) is not None:
                yield Taken(self, delivery, self._load(delivery))
        finally:
            self._in_loop(self._stop_consuming)

    def __iter__(self) -> Iterator[Any]:
        self._in_loop(self._start_consuming)
        delivery: Delivery | None = None
        shelf, consuming = self._shelf, self._consuming
        try:
            while consuming and (delivery := self._next_now() or self._next()):
                yield self._load(delivery)
                consuming.done(delivery, None, more=bool(shelf))
        finally:
            if delivery is not None:
                self._back([delivery])
            self._in_loop(self._stop_consuming)

    def serve(self, function: Callable[[Any], Any]) -> None:
        """Calls a function with each item, until the queue ends; what it returns goes to the
        producer, what it raises rejects the item.
        """
        with closing(self.deliveries()) as deliveries:
            for taken in deliveries:
                try:
                    taken.done(function(taken.item))
                except Exception:
                    self._queues.log_failure(self.name, function)
                finally:
                    taken.reject()  # nothing, where it is done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._in_loop(self._close)
        if self._producing is not None and error is None:
            self.join()

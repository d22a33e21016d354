"""``AsyncQueue``, and what it shares with the blocking ``Queue``."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..config import check_timeout
from ..errors import DecodeError, QueueClosed, QueueFull, Undelivered
from ..rpc.mapping import AsyncMapping, Progress, Window
from .consuming import Consuming, Delivery
from .producing import Producing

if TYPE_CHECKING:
    from ..model import Service
    from .queues import Queues
    from .settings import Settings

READY_SECONDS = 10.0


class Taken:
    """An item that this consumer has in hand, until ``done`` or ``reject``.

    Attributes: ``item``; ``service``, who put it; ``deliveries`` (int), how many consumers failed
    with it before; ``redelivered`` (bool): perhaps it was done already, by one that died with it.
    """

    __slots__ = ("_delivery", "_queue", "item")

    def __init__(self, queue: QueueBase, delivery: Delivery, item: Any) -> None:
        self._queue = queue
        self._delivery = delivery
        self.item = item

    @property
    def service(self) -> Service:
        """Who put it."""
        return self._delivery.source.service

    @property
    def deliveries(self) -> int:
        """How many consumers failed with it before."""
        return self._delivery.deliveries

    @property
    def redelivered(self) -> bool:
        """Whether another failed with it before: it may be done in part, or wholly."""
        return self._delivery.deliveries > 0

    def done(self, result: Any = None) -> None:
        """It is done, from any thread. Idempotent; after ``reject`` it does nothing.

        Args:
            result: what the producer's ``submit`` and ``map`` give for it.
        """
        self._queue._done(self._delivery, result)

    def reject(self) -> None:
        """It could not be done: another consumer gets it, or, after ``max_deliveries``, none."""
        self._queue._back([self._delivery])

    def __repr__(self) -> str:
        return f"<Taken {self.item!r:.60} of {self._queue.name}>"


class QueueBase:
    """What both faces of a queue can be asked at any time, from any thread."""

    def __init__(self, queues: Queues, name: str, settings: Settings) -> None:
        self.name = name
        self._queues = queues
        self._settings = settings
        self._producing: Producing | None = None
        self._consuming: Consuming | None = None
        self._shelf: deque[Delivery] = deque()
        """Items that came and were not taken."""
        self._readers = 0
        self._takers = 0
        """How many wait for an item: about, where several threads do."""
        self._closed = False

    @property
    def consumers(self) -> tuple[Service, ...]:
        """Who takes items that we put."""
        if self._producing is None:
            return ()
        return tuple(outlet.service for outlet in tuple(self._producing.outlets.all.values()))

    @property
    def producers(self) -> tuple[Service, ...]:
        """Whose items we take, and who has not closed."""
        if self._consuming is None:
            return ()
        sources = tuple(self._consuming.sources.values())
        return tuple(each.service for each in sources if each.lives)

    @property
    def pending(self) -> int:
        """How many items that we put are not done."""
        return 0 if self._producing is None else self._producing.open

    @property
    def dead_letters(self) -> list[Any]:
        """The items that ``max_deliveries`` consumers failed with: the last 10,000. A copy."""
        return [] if self._producing is None else self._producing.dead_letters

    @property
    def lost(self) -> int:
        """With ``at_most_once``: how many items were given to consumers that did not say that they
        were done: they died, went or rejected them."""
        return 0 if self._producing is None else self._producing.lost

    @property
    def duplicates(self) -> int:
        """How many items were done by one that they had been taken from: too late."""
        return 0 if self._producing is None else self._producing.duplicates

    @property
    def lost_producers(self) -> tuple[Service, ...]:
        """The producers that were lost before they closed; what they had is lost with them."""
        return () if self._consuming is None else tuple(self._consuming.lost_producers)

    @property
    def refused(self) -> tuple[tuple[Service, str], ...]:
        """The consumers that mean another queue of this name, and why."""
        return () if self._producing is None else tuple(self._producing.refused)

    @property
    def over(self) -> bool:
        """Nothing is put and nothing taken any more: closed on our side, and all is done."""
        producing, consuming = self._producing, self._consuming
        return (self._closed or producing is not None or consuming is not None) and (
            (producing is None or producing.ended) and (consuming is None or consuming.over)
        )

    # --- inside --------------------------------------------------------------------------------

    def _in_loop(self, function: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def _changed(self) -> None:
        """Told in the loop, when what somebody waits for may be so."""
        raise NotImplementedError

    def _producer(self) -> Producing:
        """Ours, which others are told of when something is first put."""
        if self._producing is None:
            if self._closed:
                raise self._put_too_late()
            self._in_loop(self._start_producing)
        assert self._producing is not None
        return self._producing

    def _start_producing(self) -> None:
        if self._producing is None:
            self._queues.start()
            self._producing = self._queues.produce(self.name, self._settings, self._changed)

    def _start_getting(self) -> None:
        """As who iterates, but it takes for good, and once for all who get."""
        if not self._readers:
            self._start_consuming()

    def _start_consuming(self) -> None:
        if not self._closed and (self._consuming is None or self._consuming.closed):
            self._queues.start()
            self._consuming = self._queues.consume(
                self.name, self._settings, self._arrived, self._changed
            )
        self._readers += 1  # last: who sees it goes on at once, in another thread

    def _stop_consuming(self) -> None:
        """When nobody iterates any more: what is in hand and was not taken goes to others."""
        self._readers -= 1
        consuming = self._consuming
        if self._readers == 0 and consuming is not None:
            self._shelf.clear()
            consuming.close()

    def _arrived(self, deliveries: Sequence[Delivery]) -> None:
        self._shelf.extend(deliveries)
        self._changed()

    def _check_open(self, producing: Producing) -> None:
        if producing.closed:
            raise self._put_too_late()

    def _put_too_late(self) -> QueueClosed:
        return QueueClosed(f"queue {self.name!r} is closed: nothing more is put into it")

    def _full(self, seconds: float) -> QueueFull:
        consumers = len(self.consumers)
        return QueueFull(
            f"queue {self.name!r}: {self.pending} items are not done after {seconds:g} s, which is "
            f"its bound; {consumers} consumers"
        )

    def _load(self, delivery: Delivery) -> Any:
        try:
            return self._settings.load(delivery.data)
        except DecodeError:
            self._back([delivery])
            raise

    def _done(self, delivery: Delivery, result: Any) -> None:
        consuming = self._consuming
        if consuming is not None:
            data = None if result is None else self._settings.dump_result(result)
            consuming.done(delivery, data, more=bool(self._shelf))

    def _back(self, deliveries: Sequence[Delivery]) -> None:
        if self._consuming is not None:
            self._consuming.back(deliveries, failed=True)

    def _close(self) -> None:
        """Neither puts nor takes any more; in the loop."""
        self._closed = True
        if self._consuming is not None:
            self._shelf.clear()
            self._consuming.close()
        if self._producing is not None:
            self._producing.close()

    def _left(self) -> None:
        """The cluster was left."""
        self._closed = True
        if self._producing is not None:
            self._producing.abandon()
        if self._consuming is not None:
            self._shelf.clear()
            self._consuming.stop()
        self._changed()

    def _next_now(self) -> Delivery | None:
        """An item that is there, and that nobody else has got meanwhile."""
        consuming, shelf = self._consuming, self._shelf
        while shelf and consuming is not None:
            try:
                delivery = shelf.popleft()
            except IndexError:  # another thread was faster
                break
            if consuming.is_ours(delivery):
                return delivery
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.pending} of ours are not done>"


class AsyncQueue(QueueBase):
    """A queue of an ``AsyncCluster``: made by ``cluster.queue``. ``async for item in queue`` takes
    items, each done when the next is asked for; it ends when all producers have closed and all
    their items are done. In ``async with`` it is closed and joined at the end.
    """

    def __init__(self, queues: Queues, name: str, settings: Settings) -> None:
        super().__init__(queues, name, settings)
        self._waiting: set[asyncio.Event] = set()

    def _in_loop(self, function: Callable[[], Any]) -> Any:
        return function()

    def _changed(self) -> None:
        for each in self._waiting:
            each.set()

    async def _until(self, true: Callable[[], bool], timeout: float | None) -> bool:
        if true():
            return True
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            async with asyncio.timeout(timeout):
                while not true():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(changed)
        return True

    # --- putting -------------------------------------------------------------------------------

    async def put(
        self, item: Any, *, key: str | bytes | None = None, timeout: float = 30.0
    ) -> None:
        """Puts an item. It is held here until a consumer has done it.

        Args:
            item: anything ``cluster.send`` takes, of the queue's type.
            key: with ``mode="key"``: items of one key go to one consumer, in order.
            timeout: seconds to wait for room, where ``bound`` items are not done.

        Raises:
            QueueClosed: it was closed.
            QueueFull: there was no room in time.
            TypeError, EncodeError, MessageTooLarge: not of its type, or cannot be sent.
        """
        producing = self._producing or self._producer()
        data = self._settings.dump(item)
        if producing.closed or producing.open >= self._settings.bound:
            await self._room(producing, timeout)
        producing.put(data, key)

    async def _room(self, producing: Producing, timeout: float) -> None:
        self._check_open(producing)
        bound = self._settings.bound
        if producing.open >= bound:
            if not await self._until(
                lambda: producing.open < bound or producing.closed, check_timeout(timeout)
            ):
                raise self._full(timeout)
            self._check_open(producing)

    async def submit(
        self, item: Any, *, key: str | bytes | None = None, timeout: float = 30.0
    ) -> asyncio.Future[Any]:
        """Puts an item; the future has what came of it (``Taken.done(result)``, ``serve``).

        Raises (the future): DeadLetter, if ``max_deliveries`` consumers failed with it;
            Undelivered, if it was given up or, ``at_most_once``, lost with its consumer. Otherwise
            as ``put``.
        """
        producing = self._producing or self._producer()
        data = self._settings.dump(item)
        await self._room(producing, timeout)
        return self._submit(producing, data, key)

    def _submit(
        self, producing: Producing, data: bytes, key: str | bytes | None
    ) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def tell(value: bytes | None, error: Exception | None) -> None:
            if future.done():
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
    ) -> AsyncMapping:
        """Puts items and gives what came of each: ``async for``, or ``await`` for a list. At most
        ``bound`` are under way.

        Args:
            items: taken as there is room.
            ordered: results in the order of the items; else as they come.
            progress: called with how many are done, and of how many (None: not known).
        """
        producing = self._producing or self._producer()
        self._check_open(producing)

        def begin(item: Any) -> asyncio.Future[Any]:
            self._check_open(producing)
            return self._submit(producing, self._settings.dump(item), None)

        bound = self._settings.bound
        return AsyncMapping(Window(begin, items, bound, ordered=ordered, progress=progress))

    async def wait_ready(self, count: int = 1, *, timeout: float = READY_SECONDS) -> None:
        """Returns when at least so many consumers take from it; ``round_robin`` begins with the
        first then.

        Raises:
            TimeoutError: there were fewer after ``timeout`` seconds.
        """
        producing = self._producer()
        if not await self._until(lambda: len(producing.outlets.all) >= count, timeout):
            raise TimeoutError(
                f"{len(self.consumers)} of {count} consumers of {self.name!r} after {timeout:g} s"
            )
        producing.outlets.reset_turn()

    async def join(self, timeout: float | None = None) -> None:
        """Returns when all items that were put are done.

        Raises:
            Undelivered: they were not in time; it has those that are not.
        """
        producing = self._producing
        if producing is None:
            return
        if not await self._until(lambda: producing.drained, timeout):
            raise Undelivered(self.name, producing.undone())

    async def close(self, drain_timeout: float | None = None) -> None:
        """Puts nothing more, and takes nothing more. Consumers go on until what was put is done,
        and end then. Idempotent.

        Args:
            drain_timeout: seconds to wait for that; by default it does not wait. Leaving the
                cluster before it is done gives up the rest.

        Raises:
            Undelivered: not all was done in time; it has those items, which are given up.
        """
        self._close()
        producing = self._producing
        if producing is None or drain_timeout is None:
            return
        if not await self._until(lambda: producing.drained, check_timeout(drain_timeout)):
            items = producing.undone()
            producing.give_up()
            raise Undelivered(self.name, items)

    # --- taking --------------------------------------------------------------------------------

    async def get(self, timeout: float | None = None) -> Taken | None:
        """The next item; None when there will be none. It is ours until ``done`` or ``reject``.

        Raises:
            TimeoutError: there was none for ``timeout`` seconds.
            QueueMismatch: the producer has other items in a queue of this name.
            DecodeError: what came is no item of this type; it was rejected.
        """
        self._start_getting()
        delivery = await self._next(timeout)
        return None if delivery is None else Taken(self, delivery, self._load(delivery))

    async def _next(self, timeout: float | None = None) -> Delivery | None:
        consuming = self._consuming
        while consuming is not None:
            delivery = self._next_now()
            if delivery is not None:
                return delivery
            self._takers += 1
            try:
                consuming.want(self._takers)
                came = await self._until(lambda: bool(self._shelf) or consuming.over, timeout)
            finally:
                self._takers -= 1
            if not came:
                raise TimeoutError(f"queue {self.name!r}: nothing came for {timeout:g} s")
            if not self._shelf and consuming.over:
                if consuming.failure is not None:
                    raise consuming.failure
                break
        return None

    async def deliveries(self) -> AsyncGenerator[Taken, None]:
        """The items one after the other, each to be settled by ``done`` or ``reject``."""
        self._start_consuming()
        try:
            while (delivery := await self._next()) is not None:
                yield Taken(self, delivery, self._load(delivery))
        finally:
            self._stop_consuming()

    async def __aiter__(self) -> AsyncIterator[Any]:
        self._start_consuming()
        delivery: Delivery | None = None
        shelf, consuming = self._shelf, self._consuming
        try:
            while consuming and (delivery := self._next_now() or await self._next()):
                yield self._load(delivery)
                consuming.done(delivery, None, more=bool(shelf))
        finally:
            if delivery is not None:
                self._back([delivery])
            self._stop_consuming()

    async def serve(self, function: Callable[[Any], Any]) -> None:
        """Calls a function (also ``async def``) with each item, until the queue ends; what it
        returns goes to the producer, what it raises rejects the item.
        """
        async with aclosing(self.deliveries()) as deliveries:
            async for taken in deliveries:
                try:
                    result = function(taken.item)
                    if asyncio.iscoroutine(result):
                        result = await result
                    taken.done(result)
                except Exception:
                    self._queues.log_failure(self.name, function)
                finally:
                    taken.reject()  # nothing, where it is done

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._close()
        if self._producing is not None and error is None:
            await self.join()

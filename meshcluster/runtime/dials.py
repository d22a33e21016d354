"""The dials under way: one task each, which a handler's ``dial`` runs in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from ..errors import ClusterError
from ..model import Endpoint
from ..node.effects import CancelDial, DialEndpoint
from ..node.links import REFUSED
from ..protocols.base import Accept, Link, LinkReceiver, ProtocolHandler

logger = logging.getLogger("meshcluster")

STAGGER_SECONDS = 0.25
"""An address that has not answered by then is joined in the race by the next one."""

_REFUSALS = (ConnectionRefusedError, ConnectionResetError)  # reset: while its process ends


class Dials:
    """Begins and cancels dials. ``accept`` is told of each link, ``failed`` why there is none."""

    def __init__(
        self, handlers: Mapping[str, ProtocolHandler],
        accept: Callable[[str, int, Link], LinkReceiver | None],
        failed: Callable[[int, str], None],
    ) -> None:  # fmt: skip
        self._handlers = handlers
        self._accept = accept
        self._failed = failed
        self._loop = asyncio.get_running_loop()  # which may be stopped when a dial begins
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def begin(self, effect: DialEndpoint) -> None:
        """Dials an endpoint."""
        task = self._loop.create_task(self._dial(effect))
        self._tasks[effect.number] = task
        task.add_done_callback(lambda _: self._tasks.pop(effect.number, None))

    async def _dial(self, effect: DialEndpoint) -> None:
        scheme = effect.endpoint.scheme
        accept = partial(self._accept, scheme, effect.number)
        try:
            addresses = (effect.address, *effect.others)
            await race(self._handlers[scheme], addresses, effect.endpoint, accept)
            return
        except _REFUSALS:
            reason = REFUSED
        except (OSError, ClusterError) as error:
            reason = str(error)
        except Exception as error:  # a third party's handler
            logger.exception("protocol %s broke while dialling", scheme)
            reason = repr(error)
        self._failed(effect.number, reason)

    def cancel(self, effect: CancelDial) -> None:
        """Gives one up."""
        task = self._tasks.pop(effect.number, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Gives all up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def race(
    handler: ProtocolHandler, addresses: Sequence[str], endpoint: Endpoint, accept: Accept
) -> None:
    """Dials one address after the other, without waiting long for any; the first that opens wins.

    Raises:
        OSError: all failed: the first one's error, or a refusal if all refused.
    """
    if len(addresses) == 1:
        await handler.dial(addresses[0], endpoint, accept)
        return
    loop = asyncio.get_running_loop()
    racing: list[asyncio.Task[None]] = []
    errors: list[BaseException] = []
    try:
        for address in addresses:
            racing.append(loop.create_task(_as_task(handler.dial(address, endpoint, accept))))
            if await _won(racing, errors, STAGGER_SECONDS):
                return
        while racing:
            if await _won(racing, errors, None):
                return
    finally:
        for task in racing:
            task.cancel()
        await asyncio.gather(*racing, return_exceptions=True)
    raise next((e for e in errors if not isinstance(e, _REFUSALS)), errors[0])


async def _as_task(dial: Awaitable[None]) -> None:
    await dial


async def _won(
    racing: list[asyncio.Task[None]], errors: list[BaseException], timeout: float | None
) -> bool:
    """Waits until one of the dials ends; True when it opened a link. The failed are taken out."""
    done, _ = await asyncio.wait(racing, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        racing.remove(task)
        error = task.exception()
        if error is not None:
            errors.append(error)
    return any(task.exception() is None for task in done)

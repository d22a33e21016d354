"""execnet at its best: a loop at the other end of a channel, results by a callback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from typing import Any

import execnet

from ..task import Task
from .hosts import BATCH, aliases, config, numbers

EACH = """
from math import sqrt
for item in channel:
    channel.send(sqrt(item))
"""
ALL = """
from math import sqrt
for items in channel:
    channel.send(list(map(sqrt, items)))
"""
UNDER_WAY = 64
BATCHES_UNDER_WAY = 4
"""At each gateway."""

END_SECONDS = 2.0
Next = Callable[[], Any]


class Execnet:
    """Plays who has work: an item a message, or many."""

    def __init__(self, *, batched: bool) -> None:
        self._batched = batched

    @contextmanager
    def work(self, task: Task) -> Iterator[Iterator[float]]:
        group = execnet.Group()
        try:
            yield self._results([self._channel(group, alias, task) for alias in aliases(task)])
        finally:
            group.terminate(END_SECONDS)

    def _channel(self, group: execnet.Group, alias: str, task: Task) -> execnet.Channel:
        spec = f"ssh={alias}//ssh_config={config(task)}//python={sys.executable}"
        return group.makegateway(spec).remote_exec(ALL if self._batched else EACH)

    def _results(self, channels: list[execnet.Channel]) -> Iterator[float]:
        items = numbers()
        if self._batched:
            several = many(channels, lambda: list(islice(items, BATCH)), BATCHES_UNDER_WAY)
            return (result for results in several for result in results)
        return many(channels, items.__next__, UNDER_WAY if len(channels) > 1 else 1)


def many(channels: list[execnet.Channel], item: Next, under_way: int) -> Iterator[Any]:
    """Each channel has so many items, in turn at first; who has answered gets the next one."""
    answers = SimpleQueue[tuple[execnet.Channel, Any]]()
    for channel in channels:
        # With many under way half as many again come by it as by `receive`.
        channel.setcallback(lambda answer, channel=channel: answers.put((channel, answer)))
    for _ in range(under_way):
        for channel in channels:
            channel.send(item())
    while True:
        channel, answer = answers.get()
        yield answer
        channel.send(item())

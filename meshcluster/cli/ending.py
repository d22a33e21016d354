"""How a command that runs until it is told to stop is told."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class Ended(BaseException):
    """The system asks us to end (SIGTERM, or the terminal is gone). Not an error."""


@contextmanager
def told_to_end() -> Iterator[None]:
    """While it is open SIGTERM and SIGHUP raise ``Ended`` in the main thread: the first to leave,
    the second to leave at once, for leaving waits for what runs. Further ones are ignored.
    """
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [signal.Signals[name] for name in names]

    told = 0

    def end(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal told
        told += 1
        if told > 1:  # the goodbye is not cut short by another one
            for each in numbers:
                signal.signal(each, signal.SIG_IGN)
        raise Ended

    before = {
        number: signal.signal(number, end)
        for number in numbers
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""What the members of a crowd see of each other, noted by threads and waited for by tests."""

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Sight(NamedTuple):
    """One thing that one member saw."""

    at: float
    """By the clock that all processes of the machine share, ``time.monotonic``."""
    process: int
    """Whose process it is."""
    what: str
    """discovered, lost, suspect or recovered; joined is said of itself."""
    name: str
    id: str
    why: str = ""
    value: Any = None


class Sights:
    """All of them, in the order in which they came."""

    def __init__(self) -> None:
        self._all: list[Sight] = []
        self._changed = threading.Condition()
        self._views: dict[int, set[str]] = {}

    def add(self, sight: Sight) -> None:
        """Any thread may."""
        with self._changed:
            self._all.append(sight)
            view = self._views.setdefault(sight.process, set())
            if sight.what == "discovered":
                view.add(sight.id)
            elif sight.what == "lost":
                view.discard(sight.id)
            self._changed.notify_all()

    def view(self, process: int) -> set[str]:
        """Whom a process knows: ids."""
        return self._views.get(process, set())

    def since(self, at: float, what: str) -> list[Sight]:
        """What was seen from a moment on."""
        with self._changed:
            return [each for each in self._all if each.at >= at and each.what == what]

    def until(self, true: Callable[[], Any], seconds: float) -> Any:
        """Waits until something holds, or for so long; whether it does."""
        end = time.monotonic() + seconds
        with self._changed:
            while not (found := true()) and (left := end - time.monotonic()) > 0:
                self._changed.wait(left)
        return found

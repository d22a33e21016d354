"""What an input makes a parser do: the ways between lines, and what is said of it.

Most of the parsing is msgspec's, in C, where no line is seen; but its errors name the field and
what is wrong with it, which tells as much.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import meshcluster

FOLDER = str(Path(meshcluster.__file__).parent)
_VALUES = re.compile(
    r"(?<= at `)key.*|` in `.*|'.*'|\".*\"|(?<=[\].])[\[.][^`]*|0x\w+|(?<=got: ).*|\d+(?![\d]*\])",
    re.DOTALL,
)
"""Of a place such as ``$[3][1].name`` the first step is kept, of one inside a key nothing."""
SAID_CHARACTERS = 80

Feature = tuple[object, ...]


class Coverage:
    """Traces calls into the package, in this thread; ``refuses`` are exceptions that say something
    of an input, others come out.
    """

    def __init__(self, refuses: tuple[type[Exception], ...]) -> None:
        self._refuses = refuses
        self._seen: set[Feature] = set()
        self._last: tuple[object, int] = (None, 0)

    def of(self, take: Callable[[bytes], object], data: bytes) -> set[Feature]:
        """Everything that one input does; what is said of it is one of these things."""
        self._seen, self._last = set(), (None, 0)
        before = sys.gettrace()
        sys.settrace(self._called)
        try:
            said: Feature = ("gave", type(take(data)).__name__)
        except self._refuses as error:
            text = _VALUES.sub("#", str(error))[:SAID_CHARACTERS]
            said = ("said", type(error).__name__, text)
        finally:
            sys.settrace(before)
        self._seen.add(said)
        return self._seen

    def _called(self, frame: FrameType, event: str, _: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(FOLDER) else None

    def _line(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            here = (frame.f_code, frame.f_lineno)
            self._seen.add((self._last, here))
            self._last = here
        return self._line

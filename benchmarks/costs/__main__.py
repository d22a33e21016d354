"""``python -m benchmarks.costs TOLD``: plays one role."""

from __future__ import annotations

import json
import sys
from importlib import import_module

from ..task import Line
from .told import Told


def main(text: str) -> None:
    """Plays the role that the JSON names."""
    told = Told(**json.loads(text))
    if not told.uvloop:
        sys.modules["uvloop"] = None  # type: ignore[assignment]  # as if it were not installed
    import_module(f"{__package__}.{told.role}").play(told, Line())


main(sys.argv[1])

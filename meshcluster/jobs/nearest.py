"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 3


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence that says which of ``names`` are most like ``name``; of none that is,
    all of them where they are few; "" where there is nothing to say.
    """
    known = sorted(names)
    close = get_close_matches(name, known, SHOWN) or [
        each for each in known if each.casefold() == name.casefold()
    ]
    if close:
        return "; did you mean " + " or ".join(repr(each) for each in close) + "?"
    return "; there are: " + ", ".join(known) if 0 < len(known) <= 20 else ""

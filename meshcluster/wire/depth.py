"""How deep a value from the wire is nested: whoever walks it afterwards may do so by recursion."""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType
from typing import Any

LEAVES = frozenset({NoneType, bool, int, float, str, bytes})
_CONTAINERS = frozenset({dict, list, tuple, set})


def is_deeper(value: object, most: int) -> bool:
    """Whether more than ``most`` containers are inside each other. Leaves are passed over in C."""
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(most):
        level = [
            item for each in level for items in _parts(each)
            if not LEAVES.issuperset(map(type, items))
            for item in items if type(item) in _CONTAINERS
        ]  # fmt: skip
        if not level:
            return False
    return bool(level)


def _parts(container: Any) -> tuple[Iterable[Any], ...]:
    return (container, container.values()) if type(container) is dict else (container,)

"""``cluster.props``: what else we say of ourselves, and how it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from .config import check_props

Change = Callable[[dict[str, object]], dict[str, object]]


class Props(MutableMapping[str, Any]):
    """A dict that everybody sees: each change is announced, and checked before that.

    Keys are texts; values None, bool, int of 64 bits, float, str, bytes, or lists and dicts of
    these. A value that is read is not to be changed in place: set it anew.

    Raises (every change):
        ConfigError: not such a value.
        MessageTooLarge: more than a member may say of itself.
    """

    def __init__(
        self, read: Callable[[], Mapping[str, Any]], change: Callable[[Change], None]
    ) -> None:
        self._read = read
        self._change = change

    def __setitem__(self, key: str, value: object) -> None:
        self.update({key: value})

    def __delitem__(self, key: str) -> None:
        if key not in self._read():
            raise KeyError(key)
        self._change(lambda old: {name: old[name] for name in old if name != key})

    def update(self, other: Any = (), /, **more: Any) -> None:
        """Sets several at once."""
        new = {**dict(other), **more}
        check_props(new)
        self._change(lambda old: {**old, **new})

    def replace(self, props: Mapping[str, Any]) -> None:
        """Sets all of them anew."""
        new = dict(props)
        check_props(new)
        self._change(lambda old: new)

    def clear(self) -> None:
        """Takes all of them away."""
        self.replace({})

    def __getitem__(self, key: str) -> Any:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._read()))

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return repr(dict(self._read()))

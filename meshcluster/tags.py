"""A member's own tags: a sequence to read, with methods that change it and announce it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

from .config import check_tags, distinct

Change = Callable[[tuple[str, ...]], tuple[str, ...]]


class Tags(Sequence[str]):
    """``cluster.tags``. Reading gives the tags as they are now; the order is kept."""

    def __init__(
        self, read: Callable[[], tuple[str, ...]], change: Callable[[Change], None]
    ) -> None:
        self._read = read
        self._change = change

    def append(self, *tags: str) -> None:
        """Adds tags at the end; those already there stay where they are.

        Raises:
            ConfigError: not a short printable text.
            MessageTooLarge: more than a member may say of itself.
        """
        check_tags(tags)
        self._change(lambda old: tuple(dict.fromkeys((*old, *tags))))

    def remove(self, *tags: str) -> None:
        """Takes tags away; those not there are ignored."""
        check_tags(tags)
        self._change(lambda old: tuple(tag for tag in old if tag not in tags))

    def replace(self, tags: Iterable[str]) -> None:
        """Sets all tags anew.

        Raises:
            ConfigError, MessageTooLarge: see ``append``.
        """
        new = distinct("tags", tags)
        check_tags(new)
        self._change(lambda old: new)

    def map(self, old: str, new: str | None) -> None:
        """Puts ``new`` in the place of ``old``; nothing happens if ``old`` is not there.

        A ``new`` that stood elsewhere moves there; an empty one, or None, changes nothing.

        Raises:
            ConfigError, MessageTooLarge: see ``append``.
        """
        if not new:
            check_tags((old,))
            return
        check_tags((old, new))
        self._change(lambda tags: _mapped(tags, old, new))

    def mappend(self, old: str, new: str) -> None:
        """Takes ``old`` away, if it is there, and adds ``new`` at the end, if it is not there.

        Raises:
            ConfigError, MessageTooLarge: see ``append``.
        """
        check_tags((old, new))
        self._change(lambda tags: tuple(dict.fromkeys((*(t for t in tags if t != old), new))))

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._read()[index]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __contains__(self, tag: object) -> bool:
        return tag in self._read()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._read() == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(list(self._read()))


def _mapped(tags: tuple[str, ...], old: str, new: str) -> tuple[str, ...]:
    if old not in tags:
        return tags
    return tuple(new if tag == old else tag for tag in tags if tag == old or tag != new)

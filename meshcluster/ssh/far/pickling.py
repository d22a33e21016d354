"""``Pickle``: code and objects of any class, for who asked for ``unsafe_pickle=True``.

Who can write to the other end can run anything here. Nothing but a dispatcher's own workers may.
"""

from __future__ import annotations

import pickle
from typing import Any

from .serializer import Unserializable


class Pickle:
    """Values by ``cloudpickle``, which takes functions and classes of the main program along."""

    name = "pickle"

    def __init__(self) -> None:
        import cloudpickle

        self._dumps = cloudpickle.dumps

    def dumps(self, value: Any) -> bytes:
        """A value as bytes."""
        try:
            data: bytes = self._dumps(value)
        except Exception as error:  # any class may refuse in its own way
            raise Unserializable(f"cannot be pickled: {error}") from error
        return data

    def loads(self, data: bytes) -> Any:
        """The value again. Runs what is in it."""
        try:
            return pickle.loads(data)
        except Exception as error:
            raise Unserializable(f"cannot be unpickled: {error!r}") from error

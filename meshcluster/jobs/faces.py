"""What a cluster of either face is to the jobs: nothing of its core is imported."""

from __future__ import annotations

from typing import Any, Protocol


class AnyCluster(Protocol):
    """A ``Cluster`` or an ``AsyncCluster``."""

    def expose(self, function: Any, *, name: str | None = None) -> Any:
        """See ``Cluster.expose``."""

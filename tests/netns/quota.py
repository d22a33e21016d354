"""Processes that get a share of a CPU only: a control group for each (of version 1 or 2)."""

import os
from pathlib import Path

import pytest

FIRST, SECOND = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds in which a process has its share."""


class Quota:
    """As many processes as are given to ``limit``; free again and removed with ``close``."""

    def __init__(self) -> None:
        self._is_first = (FIRST / "cpu.cfs_quota_us").exists()
        self._root = FIRST if self._is_first else SECOND
        self._groups: list[Path] = []
        if not os.access(self._root, os.W_OK) or not (self._is_first or self._has_second()):
            pytest.skip("needs a control group for CPU that may be written")

    def _has_second(self) -> bool:
        controllers = SECOND / "cgroup.subtree_control"
        return controllers.exists() and "cpu" in controllers.read_text().split()

    def limit(self, process: int, percent: float) -> None:
        """Gives a process so much of one CPU."""
        group = self._root / f"mcnet{os.getpid()}p{process}"
        group.mkdir()
        self._groups.append(group)
        share = round(PERIOD * percent / 100)
        if self._is_first:
            (group / "cpu.cfs_period_us").write_text(str(PERIOD))
            (group / "cpu.cfs_quota_us").write_text(str(share))
        else:
            (group / "cpu.max").write_text(f"{share} {PERIOD}")
        (group / "cgroup.procs").write_text(str(process))

    def throttled(self) -> int:
        """How often all of them together were held back."""
        texts = [(group / "cpu.stat").read_text() for group in self._groups]
        lines = [line.split() for text in texts for line in text.splitlines()]
        return sum(int(line[1]) for line in lines if line[0] == "nr_throttled")

    def close(self) -> None:
        """Removes the groups; who is in one goes where all are."""
        for group in self._groups:
            for process in (group / "cgroup.procs").read_text().split():
                (self._root / "cgroup.procs").write_text(process)
            group.rmdir()
        self._groups.clear()

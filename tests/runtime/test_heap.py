"""What large messages cost: a body's memory is used again, not given back to the system."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from meshcluster.runtime import heap
if sys.argv[1] == "kept":
    heap.keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    bodies = [bytes([1]) * 65_536 for _ in range(8)]
    bodies.clear()
before = faults()
for _ in range(100):
    bodies = [bytes([1]) * 65_536 for _ in range(8)]
    bodies.clear()
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator is meant")
@pytest.mark.process
def test_memory_of_freed_bodies_is_not_asked_for_again():
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", PROGRAM, how], timeout=30))
        for how in ("kept", "plain")
    }
    assert faults["kept"] < 100, faults
    assert faults["kept"] < faults["plain"], faults

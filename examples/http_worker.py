"""A worker of http_front.py: start as many as you like, and stop or kill them as you like.

    python examples/http_worker.py [SECONDS]

SECONDS is how long a sum takes, for it is not much of a work by itself; by default 1.
"""

import os
import signal
import sys
import time

import meshcluster

RUN_FOREVER = True


class Arith:
    """Work that keeps a thread busy."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def sum(self, numbers: list[int]) -> int:
        time.sleep(self._seconds)
        return sum(numbers)


class Palindrome:
    """Numbers whose binary digits read the same backwards."""

    def check(self, number: int) -> bool:
        digits = f"{number:b}"
        return digits == digits[::-1]

    def count(self, bounds: tuple[int, int]) -> int:
        """How many there are from the first bound to the last, which counts."""
        first, last = bounds
        return sum(map(self.check, range(first, last + 1)))


def main(arguments: list[str]) -> None:
    cluster = meshcluster.Cluster()
    # Counted twice is counted the same: if we die, another one may count it.
    cluster.expose(Palindrome(), idempotent=True)
    cluster.expose(Arith(float(arguments[0]) if arguments else 1.0), idempotent=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit())
    name = f"worker-{os.getpid()}"
    with cluster.join(["worker"], name=name):
        print("ready", name, flush=True)
        cluster.run_forever()


if __name__ == "__main__":
    main(sys.argv[1:])

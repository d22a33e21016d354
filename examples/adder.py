"""Somebody asks for sums without end, others add; each result finds its question.

    shell 1: python examples/adder.py
    shell 2: python examples/adder.py work
    shell 3: python examples/adder.py work                (as many as you like)

Start, stop and kill workers as you like: no sum is lost. Ctrl-C in shell 1 ends all of them.
"""

import itertools
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import meshcluster

RUN_FOREVER = True

Sum = tuple[int, int]


def sums() -> Iterator[Sum]:
    for number in itertools.count(1):
        yield number, random.randrange(1000)


def ask() -> None:
    with meshcluster.join() as cluster:
        queue = cluster.queue("sums", type=Sum, bound=16)  # so many are under way
        asked, given = itertools.tee(sums())
        with suppress(KeyboardInterrupt):
            for (a, b), result in zip(asked, queue.map(given), strict=False):  # in their order
                print(f"{a} + {b} = {result}", flush=True)
        with suppress(meshcluster.Undelivered):  # there is nobody to do the last ones
            queue.close(drain_timeout=2)


def work() -> None:
    done = 0

    def add(numbers: Sum) -> int:
        nonlocal done
        time.sleep(0.05)  # it is hard work
        done += 1
        return sum(numbers)

    with meshcluster.join() as cluster:
        cluster.queue("sums", type=Sum).serve(add)
    print("did", done, "sums", flush=True)


if __name__ == "__main__":
    work() if sys.argv[1:] == ["work"] else ask()

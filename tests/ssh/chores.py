"""What the workers of the tests do. It is sent to them, or found by their path, as ``chores``."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SCENARIO = "MESHCLUSTER_SCENARIO"
"""A variable that every worker of a test has: by it the test finds them, and what they started. It
is a folder that the test looks into.
"""


class Pair:
    """Travels with hooks of its own."""

    def __init__(self, left, right):
        self.left, self.right = left, right


class Node:
    """Travels by its attributes, so it may hold itself."""


class Stray:
    """Cannot travel."""


def begin(serializer):
    """In each worker: leaves a trace of it, and has its serializer know our classes."""
    folder = Path(os.environ[SCENARIO])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(os.getpid())).touch()
    if hasattr(serializer, "register"):
        register(serializer)


def register(serializer):
    serializer.register(
        "pair", Pair, lambda pair: [pair.right, pair.left], lambda both: Pair(*both[::-1])
    )
    serializer.register("node", Node)


def do(order):
    """The callback: a list that says what, and words."""
    what, *words = order
    return globals()[what](*words)


def pid():
    return os.getpid()


def echo(value):
    return value


def nap(seconds, value=None):
    time.sleep(seconds)
    return value


def meet(folder, count, value=None):
    """Returns when so many workers are in it at once."""
    Path(folder, str(os.getpid())).touch()
    wait_for(lambda: len(os.listdir(folder)) >= count)
    return value


def hold(file, value=None):
    """Returns when there is a file."""
    wait_for(lambda: os.path.exists(file))
    return value


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("not in thirty seconds")
        time.sleep(0.002)


def wrong(*args):
    raise ValueError(*args)


def die(last_words="it was too much"):
    print(last_words, file=sys.stderr, flush=True)
    os._exit(3)


def noise(value):
    for number in range(3):
        print(f"out {value} {number}")
        print(f"err {value} {number}", file=sys.stderr)
    return value


def stray():
    return Stray()


def told_of_cancelling(folder):
    """Leaves word of its beginning and of its end."""
    Path(folder, "begun").touch()
    try:
        time.sleep(30)
    except BaseException as error:
        Path(folder, type(error).__name__).touch()
        raise


def heedless(file):
    """Cannot be interrupted."""
    Path(file).touch()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    time.sleep(30)


def parent(file):
    """Starts a process, and waits for it."""
    child = subprocess.Popen(["sleep", "30"])
    Path(file).touch()
    return child.wait()

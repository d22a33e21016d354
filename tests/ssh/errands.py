"""What workers on this machine do in tests of the caller's side; they find it by their path."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Pair:
    """Travels when it is registered."""

    def __init__(self, left, right):
        self.left, self.right = left, right

    def __eq__(self, other):
        return vars(self) == vars(other)

    @staticmethod
    def swapped(pair):
        return Pair(pair.right, pair.left)

    @classmethod
    def of(cls, left):
        return cls.__name__, left


class Refused(Exception):
    """Is registered, too."""

    def __init__(self, text, code):
        super().__init__(text, code)
        self.code = code


class Unknown(Exception):
    """Is not."""


def register(serializer):
    serializer.register("pair", Pair)
    serializer.register("refused", Refused, lambda error: error.args, lambda args: Refused(*args))


def callback(value):
    return "called", value


def echo(value=None, *args, **named):
    return (value, args, named) if args or named else value


def pid():
    return os.getpid()


def note(file, value=None):
    """Leaves word that it ran."""
    with open(file, "a", encoding="utf-8") as notes:
        notes.write(f"{value}\n")
    return value


def hold(begun, until):
    """Leaves word that it runs, and ends when there is a file."""
    Path(begun).touch()
    deadline = time.monotonic() + 40
    while not os.path.exists(until):
        if time.monotonic() > deadline:
            raise TimeoutError("not in forty seconds")
        time.sleep(0.002)
    return os.getpid()


def square(x):
    if x < 0:
        raise ValueError(f"{x} is less than 0")
    return x * x


def wrong(kind, *args):
    kinds = {"Refused": Refused, "Unknown": Unknown}
    raise (kinds.get(kind) or getattr(__builtins__, kind, None) or __builtins__[kind])(*args)


def fails_first(file, kind="ValueError"):
    """The first time; the second time it does not."""
    if not os.path.exists(file):
        Path(file).touch()
        wrong(kind, "not yet")
    return "in the end"


def dies_first(file):
    """Takes its process along, the first time."""
    if not os.path.exists(file):
        Path(file).touch()
        die()
    return "in the end"


def die():
    print("these are my last words", file=sys.stderr, flush=True)
    os._exit(3)


def say(*lines):
    for line in lines:
        print(line)
    print("and this is an error", file=sys.stderr)


def unsendable():
    return object()


def run(order):
    """Another function, by its name."""
    name, *args = order
    return globals()[name.rpartition(":")[2]](*args)


def heedless():
    """Cannot be interrupted."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    time.sleep(40)


def leaves_a_child():
    return subprocess.Popen(["sleep", "40"]).pid

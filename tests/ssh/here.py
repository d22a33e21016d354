"""Dispatchers whose workers are processes of this machine."""

import os
from contextlib import contextmanager
from pathlib import Path

import psutil

from meshcluster import Dispatcher, Server
from tests.waiting import until

FOLDER = Path(__file__).parent


def server(name="", **fields):
    """Its workers find ``errands``."""
    return Server(name=name, path=[str(FOLDER)], **fields)


@contextmanager
def here(*servers, slots=1, **settings):
    """A dispatcher with the setup of ``errands``. At the end nothing is left of its workers."""
    before = children()
    settings = {"setup": "errands:register", "callback": "errands:callback", **settings}
    dispatcher = Dispatcher(list(servers) or [server("here", slots=slots)], **settings)
    try:
        yield dispatcher
    finally:
        dispatcher.close(drain=False)
    until(lambda: children() <= before)


def children():
    """The ids of the processes that we have started, and of those that they have."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


class Gate:
    """Tasks that run until it is opened: ``submit("errands:hold", *gate("name"))``."""

    def __init__(self, folder):
        self._folder = folder
        self._opening = folder / "open"

    def __call__(self, name="one"):
        return str(self._folder / f"{name} has begun"), str(self._opening)

    def reached(self, name="one"):
        """Waits until that one runs."""
        until((self._folder / f"{name} has begun").exists)

    @property
    def begun(self):
        """How many run, or ran."""
        return sum(name.endswith("has begun") for name in os.listdir(self._folder))

    def open(self):
        self._opening.touch()

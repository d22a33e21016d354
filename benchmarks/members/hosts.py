"""What those who work behind ssh are told: hosts, the client's configuration, a command."""

from __future__ import annotations

from itertools import count

from ..task import Task

numbers = count
"""The items, whose square roots are wanted: there is no end of them."""

BATCH = 100
"""Items that go together, for who has that."""


def aliases(task: Task) -> list[str]:
    """The hosts, a worker each, as ``config`` names them, which are one server."""
    return [f"w{number + 1}" for number in range(task.count)]


def config(task: Task) -> str:
    """Of the ssh client."""
    return f"{task.ssh}/config"


def key(task: Task) -> str:
    """The user's, for who reads no configuration."""
    return f"{task.ssh}/user"


def command(number: int) -> str:
    """The cheapest that prints a square root to the last digit, for who has but commands: awk
    starts within a millisecond or two, Python would take ten times as long.
    """
    return f"awk 'BEGIN{{printf \"%.17g\", sqrt({number})}}'"

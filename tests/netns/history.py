"""Whether every message between members that talk (``joined.py``) was handled once and in order,
or reported.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from .process import Process

UNORDERED = "udp"


class History:
    """What members told of their traffic when all was said: counts, and what was wrong."""

    def __init__(self, members: Mapping[str, Process]) -> None:
        told = {name: member.ask("told_so_far()") for name, member in members.items()}
        self.sent = self.handled = self.reported = self.both = 0
        self.faults: dict[str, str] = {}
        for sender, (sent, _, lost, astray) in told.items():
            if astray:
                self.faults[sender] = f"heard {astray} messages to somebody else"
            for receiver in members:
                if receiver != sender:
                    came = told[receiver][1].get(sender, [])
                    self._judge(f"{sender} to {receiver}", sent.get(receiver, 0), came,
                                lost.get(receiver, []))  # fmt: skip
        self.protocols = {
            f"{sender} to {receiver}": _in_turn(numbers)
            for receiver, (_, came, _, _) in told.items()
            for sender, numbers in came.items()
        }
        """By which protocols each heard each, in turn."""

    def _judge(
        self, pair: str, sent: int, came: Sequence[tuple[int, str]], lost: Sequence[int]
    ) -> None:
        numbers = [number for number, _ in came]
        ordered = [number for number, protocol in came if protocol != UNORDERED]
        silent = set(range(sent)) - set(numbers) - set(lost)
        if silent:
            self.faults[pair] = f"lost silently: {sorted(silent)[:20]} of {sent}"
        if len(numbers) != len(set(numbers)):
            self.faults[pair] = "handled twice"
        if any(later <= earlier for earlier, later in pairwise(ordered)):
            self.faults[pair] = "handled out of order"
        if len(lost) != len(set(lost)):
            self.faults[pair] = "reported twice"
        self.sent += sent
        self.handled += len(numbers)
        self.reported += len(lost)
        self.both += len(set(numbers) & set(lost))

    def __repr__(self) -> str:
        return (
            f"{self.sent} sent, {self.handled} handled, {self.reported} reported, "
            f"{self.both} both: {self.faults or 'no fault'}"
        )


def _in_turn(came: Sequence[tuple[int, str]]) -> list[str]:
    protocols: list[str] = []
    for _, protocol in came:
        if protocols[-1:] != [protocol]:
            protocols.append(protocol)
    return protocols


def assert_once_or_reported(members: Mapping[str, Process]) -> History:
    """Waits until all is acknowledged; every message was handled once and in order or reported."""
    for member in members.values():
        member.begin("settled()")
    behind = {name: waits for name, member in members.items() if (waits := member.reply())}
    history = History(members)
    assert not behind, f"{behind} did not acknowledge all: {history}"
    assert not history.faults, history
    return history

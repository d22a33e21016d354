"""All queues of one cluster object: hands each its letters, and finds the producers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ..config import check_label
from ..errors import ClusterError, ConfigError, DecodeError, NotJoined
from ..mailbox import Letter, MailboxBase
from ..model import Service
from ..rpc.values import Values
from .consuming import Consuming
from .letters import ACK, ATTACH, BACK, DETACH, END, ENDED, HOLD, ITEMS, MAILBOX, RESULTS
from .producing import Producing
from .settings import Settings

logger = logging.getLogger("meshcluster.queues")

Q = TypeVar("Q")

ASK_SECONDS = 30.0

MOST_HELD = 1 << 20
"""A consumer that wants more items in hand gets no more."""

MOST_ENDED = 64
"""So many queues that ended are still offered, that who comes late learns it: the last ones."""


@dataclass(frozen=True, slots=True)
class Member:
    """What is needed of the cluster: public words, and its loop."""

    services: Callable[[], tuple[Service, ...]]
    mailbox: Callable[..., MailboxBase]
    in_loop: Callable[[Callable[[], Any]], Any]
    """Runs a function in the member's loop, and waits for it."""
    soon: Callable[[Callable[[], None]], None]
    """Has the loop run a function."""
    hook: Callable[..., Callable[[Callable[[Service], None]], Any]]
    message_bytes: Callable[[], int]
    values: Callable[[], Values]


class Queues:
    """Made when ``cluster.queue`` is first used."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._box: MailboxBase | None = None
        self.producing: dict[str, Producing] = {}
        self.consuming: dict[str, Consuming] = {}
        self.opened: dict[str, Any] = {}
        """The queue objects, by name."""

    # --- opening ---------------------------------------------------------------------------------

    def settings(self, **given: Any) -> Settings:
        """What a queue is opened with."""
        return Settings(
            **given, values=self._member.values(), most_bytes=self._member.message_bytes
        )

    def open(self, make: Callable[..., Q], name: str, given: dict[str, Any]) -> Q:
        """Makes a queue object.

        Raises:
            ConfigError: a setting that cannot work; there is one of this name.
        """
        check_label("queue", name)
        known = self.opened.get(name)
        if known is not None and not known.over:
            raise ConfigError(f"queue {name!r} is open here already: close it first")
        made = make(self, name, self.settings(**given))
        self.opened = {each: queue for each, queue in self.opened.items() if not queue.over}
        self.opened[name] = made
        return made

    def start(self) -> None:
        """Has a mailbox; in the loop."""
        if self._box is None:
            self._box = self._member.mailbox(MAILBOX, self._receive, offer={})
            for point in ("service.discovered", "service.changed"):
                self._member.hook(point)(self._found)
            self._member.hook("service.lost")(self._lost)

    def produce(self, name: str, settings: Settings, changed: Callable[[], None]) -> Producing:
        """We put items into a queue."""
        first = 1 + max((each.outlets.next_number for each in self.producing.values()), default=0)
        made = Producing(name, settings, self._ask, self._member.soon, changed, self._offer, first)
        before = dict(self.producing)
        self.producing.pop(name, None)
        self.producing[name] = made
        ended = [name for name, each in self.producing.items() if each.ended]
        for old in ended[:-MOST_ENDED]:
            del self.producing[old]
        try:
            self._offer()
        except ClusterError:  # more than a member may say of itself
            self.producing = before
            raise
        return made

    def consume(
        self, name: str, settings: Settings, arrived: Callable[[Any], None],
        changed: Callable[[], None],
    ) -> Consuming:  # fmt: skip
        """We take items from a queue."""
        made = Consuming(name, settings, self._ask, arrived, changed)
        self.consuming = {
            each: consuming for each, consuming in self.consuming.items() if not consuming.closed
        }
        self.consuming[name] = made
        for service in self._member.services():
            self._look_at(service)
        return made

    @staticmethod
    def log_failure(name: str, function: Any) -> None:
        """A function that served an item raised."""
        logger.exception("queue %s: %s raised", name, getattr(function, "__qualname__", function))

    def _offer(self) -> None:
        assert self._box is not None
        offer = {
            name: [each.settings.mode, "", ENDED]
            if each.ended
            else [each.settings.mode, each.settings.kind_text]
            for name, each in self.producing.items()
        }
        self._box.offer(offer)

    def _ask(
        self, service: Service, words: list[Any], took: Callable[[Any, Exception | None], None]
    ) -> None:
        try:
            assert self._box is not None
            self._box.ask(service, words, took, timeout=ASK_SECONDS)
        except ClusterError as error:
            self._soon(partial(took, None, error))  # also a user's thread asks

    # --- members ---------------------------------------------------------------------------------

    def _found(self, service: Service) -> None:
        self._soon(lambda: self._look_at(service))

    def _look_at(self, service: Service) -> None:
        for name, told in queues_of(service).items():
            if name in self.consuming:
                self.consuming[name].found(service, ended=ENDED in told[2:])

    def _lost(self, service: Service) -> None:
        def tell() -> None:
            for producing in tuple(self.producing.values()):
                producing.consumer_lost(service)
            for consuming in tuple(self.consuming.values()):
                consuming.lost(service)

        self._soon(tell)

    def _soon(self, function: Callable[[], None]) -> None:
        """In the loop, from any thread."""
        with suppress(NotJoined):  # a hook that ran while we left
            self._member.soon(function)

    # --- letters ---------------------------------------------------------------------------------

    def _receive(self, letter: Letter) -> object:
        """Handles a letter, in the loop. What it raises its sender gets."""
        words = letter.data
        if type(words) is not list or len(words) < 2 or type(words[1]) is not str:
            raise DecodeError("not a letter about a queue")
        word, name, *rest = words
        if word == ITEMS:
            return self._items(letter.service, name, rest)
        if word == END:
            if not are(int, rest, 1):
                raise DecodeError("not a letter about a queue")
            if name in self.consuming:
                self.consuming[name].end(letter.service, rest[0])
                self._look_at(letter.service)  # it may have been opened again by now
            return True
        producing = self.producing.get(name)
        return False if producing is None else self._about(producing, letter.service, word, rest)

    def _items(self, service: Service, name: str, rest: list[Any]) -> bool:
        consuming = self.consuming.get(name)
        if consuming is None:
            return False
        data = rest[2:]
        if not are(int, rest[:2], 2) or not data or not are(bytes, data):
            raise DecodeError("not items of a queue")
        return consuming.items(service, rest[0], rest[1], data)

    def _about(self, producing: Producing, service: Service, word: str, rest: list[Any]) -> object:
        if word == ACK and rest and are(int, rest):
            return producing.acknowledged(service, credit_of(rest[0]), rest[1:])
        if word == RESULTS and len(rest) == 3:
            credit, numbers, results = rest
            if type(credit) is int and type(numbers) is list and are_results(results, numbers):
                return producing.acknowledged(service, credit_of(credit), numbers, results)
        if word == ATTACH and are(str, rest[:2], 2) and are(int, rest[2:], 1):
            return self._attach(producing, service, *rest)
        if word == BACK and are(bool, rest[:1], 1) and are(int, rest[1:]):
            producing.back(service, rest[1:], failed=rest[0])
            return True
        if word == HOLD and not rest:
            return producing.held_on(service)
        if word == DETACH and not rest:
            producing.detach(service)
            return True
        raise DecodeError(f"not a letter about a queue: {word!r:.20}")

    def _attach(
        self, producing: Producing, service: Service, mode: str, theirs: str, credit: int
    ) -> list[Any]:
        settings = producing.settings
        ours = settings.kind_text
        if mode != settings.mode:
            why = f"mode {settings.mode!r} here, {mode!r:.20} there"
        elif ours and theirs and ours != theirs:
            why = f"items are {ours:.500} here, {theirs:.500} there"
        else:
            producing.attach(service, credit_of(credit))
            return [True, settings.lease, producing.run, producing.ended]
        producing.refuse(service, why)
        return [False, why]

    # --- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """The cluster was left."""
        for queue in tuple(self.opened.values()):
            queue._left()
        self.opened.clear()
        self.producing.clear()
        self.consuming.clear()
        if self._box is not None:
            with suppress(NotJoined):  # it holds from the next joining on
                self._offer()


def are(kind: type, words: list[Any], count: int | None = None) -> bool:
    """Whether words are all of one class, and as many."""
    return {*map(type, words)} <= {kind} and count in (None, len(words))


def are_results(results: Any, numbers: list[Any]) -> bool:
    """Whether there is one for each number: bytes, or None."""
    if type(results) is not list or not are(int, numbers, len(results)):
        return False
    return {*map(type, results)} <= {bytes, type(None)}


def credit_of(number: int) -> int:
    """How many items a consumer that says this may have in hand."""
    return max(1, min(number, MOST_HELD))


def queues_of(service: Service) -> dict[str, list[str]]:
    """The queues that a member says it puts items into: their modes and types, and the word
    ``ENDED`` where that is so.
    """
    offer = service.offers.get(MAILBOX)
    if type(offer) is not dict:
        return {}
    return {
        name: told
        for name, told in offer.items()
        if type(name) is str and type(told) is list and are(str, told) and len(told) >= 2
    }

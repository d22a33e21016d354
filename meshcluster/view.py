"""What both faces of a cluster can be asked and told at any time, from any thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from .channels import Channels
from .config import ClusterConfig
from .errors import ClusterError
from .hooks import HookRegistry
from .hooks.placing import HookPlacing
from .keyring import ClusterKeyring
from .live import Go, Live
from .mailbox import MailboxBase
from .model import GONE, Service, Standing
from .props import Props
from .resolver import passes
from .runtime.driver import Driver
from .runtime.mailboxes import Mailboxes
from .tags import Tags

if TYPE_CHECKING:
    from .queues.queues import Queues
    from .rpc.functions import Functions

T = TypeVar("T")


class ClusterView(HookPlacing):
    """Base of ``AsyncCluster`` and ``Cluster``, which say where the member is and how to enter its
    loop.
    """

    mailbox: Callable[..., MailboxBase]

    def __init__(self, hooks: HookRegistry, channels: Channels, mailboxes: Mailboxes) -> None:
        self._hooks = hooks
        self._channels = channels
        self._boxes = mailboxes
        self._tags = Tags(lambda: self._driver.node.details.tags, self._change("tags"))
        self._keyring = ClusterKeyring(lambda: self._driver, self._touch)
        self._props = Props(lambda: self._driver.node.details.props, self._change("props"))

    def __repr__(self) -> str:
        kind = type(self).__name__
        try:
            driver = self._driver
        except ClusterError:
            return f"<{kind} not joined>"
        config, count = driver.config, len(driver.sender.directory)
        return f"<{kind} {config.name} in {config.cluster}, {count} services known>"

    @property
    def _driver(self) -> Driver:
        """The running member.

        Raises:
            NotJoined: there is none.
        """
        raise NotImplementedError

    def _in_loop(self, function: Callable[[], T]) -> T:
        """Runs a function in the member's loop and waits for it; here when we have not joined."""
        raise NotImplementedError

    if TYPE_CHECKING:  # both faces have them, from elsewhere

        @property
        def exposed(self) -> dict[str, tuple[Service, ...]]:
            """See ``rpc/face.py``."""

        @property
        def _functions(self) -> Functions: ...

    def _make_functions(self) -> Functions:
        """What the methods of ``rpc/face.py`` do their work with; made when one is first used."""
        from .rpc.functions import Functions, Member

        return Functions(
            Member(
                services=lambda: self._driver.sender.services, resolve=self.resolve,
                since_joining=lambda: self._driver.since_joining, in_loop=self._in_loop,
                mailbox=self.mailbox, on_lost=self.hook("service.lost"),
                open_calls=lambda: self._driver.config.limits.open_questions,
            )
        )  # fmt: skip

    def _make_queues(self) -> Queues:
        """The same of ``queue``."""
        from .queues.queues import Member, Queues

        return Queues(
            Member(
                services=lambda: self._driver.sender.services, mailbox=self.mailbox,
                in_loop=self._in_loop, soon=lambda function: self._driver.call_soon(function),
                hook=self.hook, message_bytes=lambda: self._driver.config.limits.message_bytes,
                values=lambda: self._functions.values,
            )
        )  # fmt: skip

    # --- the others --------------------------------------------------------------------------

    @property
    def services(self) -> tuple[Service, ...]:
        """The members known, in the order of their discovery, without ourselves."""
        return self._driver.sender.services

    @property
    def known_services(self) -> int:
        """How many members are known, without ourselves."""
        return len(self._driver.sender.directory)

    def resolve(self, *words: str) -> tuple[Service, ...]:
        """The members that have every word among their tags, name, id, host, address; the word
        ``localhost`` matches those proven to be on this machine. Without words: all.
        """
        return self._driver.sender.resolve(words)

    def resolver(self, *tests: str | Sequence[str]) -> tuple[Service, ...]:
        """The members that pass every test: ``resolver("-has", "web", "-not", ["old", "slow"])``.

        Raises:
            ConfigError: see ``meshcluster.resolver``, which has the rules.
        """
        return self._driver.sender.filter_by(tests)

    def live(self, *words: str) -> Live:
        """The members that ``resolve`` finds by these words, now and later: a selection that
        follows the mesh. A ``Dispatcher`` takes it as its servers.
        """
        return Live(self, words, *self._from_threads(), lambda: self._driver.node.identity.boot)

    def _from_threads(self) -> tuple[Go, Callable[[], bool]]:
        """What calls a function from any thread; and what says whether one is the member's own."""
        raise NotImplementedError

    # --- ourselves ---------------------------------------------------------------------------

    @property
    def tags(self) -> Tags:
        """Our own tags: a sequence, with ``append``, ``remove``, ``replace``, ``map``, ``mappend``.

        Changes that come together are announced together, and before what is sent after them.
        """
        return self._tags

    @property
    def props(self) -> Props:
        """What else we say of ourselves: a dict of plain values; see ``Props``."""
        return self._props

    @property
    def keyring(self) -> ClusterKeyring:
        """The keys we seal and open with; see ``ClusterKeyring``."""
        return self._keyring

    @property
    def channels(self) -> Channels:
        """The numbers we listen to: a set, with ``join`` and ``leave``."""
        return self._channels

    @property
    def config(self) -> ClusterConfig:
        """What we joined with."""
        return self._driver.config

    @property
    def uuid(self) -> str:
        """Our id and our host's as one word; other members see it as ``service.uuid``."""
        me = self._driver.node.identity
        return f"{me.id.hex()}@{me.host}"

    def resolve_self(self, *words: str) -> bool:
        """Whether others would find us by these words: ``resolve``, asked about ourselves."""
        return self._driver.node.own_words.issuperset(words)

    def resolver_self(self, *tests: str | Sequence[str]) -> bool:
        """``resolver``, asked about ourselves."""
        node = self._driver.node
        return passes(node.own_words, node.details.tags, tests)

    def heartbeat(self) -> None:
        """Announces us now, instead of at the next time."""
        self._touch(lambda driver, now: driver.node.heartbeat(now))

    def discover(self) -> bool:
        """Asks everybody to answer; done by itself when joining. False: it was asked less than 5 s
        ago.
        """
        return self._touch(lambda driver, now: driver.node.discover(now))

    @property
    def dropped(self) -> dict[str, int]:
        """How much was dropped since joining, by reason. A copy."""
        return self._driver.node.counters.as_dict()

    @property
    def undelivered(self) -> tuple[Service, ...]:
        """The members that have not acknowledged all that we sent to them. One that is lost is not
        among them any more; what it had not acknowledged is counted in ``dropped``.
        """
        return self._in_loop(lambda: self._driver.sender.undelivered)

    @property
    def slow_hooks(self) -> dict[str, int]:
        """How often each ``send``, ``receive`` or ``service.validate`` hook took over 50 ms, by
        its name, since this object was made. A copy.
        """
        timing = self._hooks.timing
        return {} if timing is None else timing.as_dict()

    def _touch(self, function: Callable[[Driver, float], T]) -> T:
        driver = self._driver
        return self._in_loop(lambda: driver.touch(function))

    def _change(self, field: str) -> Callable[[Callable[[Any], Any]], None]:
        """How one field of our details is changed."""

        def change(new: Callable[[Any], Any]) -> None:
            def describe(driver: Driver, now: float) -> None:
                driver.node.describe(now, **{field: new(getattr(driver.node.details, field))})

            self._touch(describe)

        return change

    def _standing(self, service: Service) -> Standing:
        try:
            return self._driver.standing(service)
        except ClusterError:  # we have left ourselves
            return GONE

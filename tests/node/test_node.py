"""The one door: joining, telling of changes, names, limits, leaving."""

from functools import reduce
from operator import xor
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from meshcluster.config import Limits
from meshcluster.errors import MessageTooLarge, NotJoined
from meshcluster.node import effects as fx
from meshcluster.node import views
from meshcluster.node.queries import Gathering
from meshcluster.testing import Bench, carry, connect, introduce
from meshcluster.wire import codec
from meshcluster.wire.frames import (
    Beacon,
    Datagram,
    Details,
    Entry,
    Event,
    Leave,
    LinkFrame,
    Probe,
    ProbeReply,
)


def test_a_node_does_nothing_before_it_is_started() -> None:
    one = Bench(1)
    assert one.node.deadline() is None
    assert one.node.take_effects() == []


def test_its_deadline_is_when_it_has_something_to_do() -> None:
    one = Bench(1)
    one.node.start(5.0)
    assert one.node.deadline() == pytest.approx(5.1)


def test_changed_tags_are_announced_at_once_and_over_open_links() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    one.node.take_effects()
    other.node.describe(1.0, tags=["blue"])
    one.node.frames_received(near, other.node.take_frames(far), 1.0)
    (changed,) = one.take(fx.ServiceChanged)
    assert changed.service.tags == ("blue",)
    other.node.advance(1.0)
    assert [type(datagram) for datagram in other.datagrams()] == [Beacon]


def test_older_details_do_not_replace_newer_ones() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    old = other.node.details
    other.node.describe(1.0, tags=["new"])
    one.node._admission.proved(peer, other.node.details, 1.0)
    one.node._admission.proved(peer, old, 1.1)
    assert peer.service.tags == ("new",)


def test_details_beyond_the_limit_are_refused_and_change_nothing() -> None:
    one = Bench(1)
    before = one.node.details
    with pytest.raises(MessageTooLarge, match="tags, props and endpoints"):
        one.node.describe(0.0, tags=[f"{n:060}" for n in range(2000)])
    assert one.node.details is before
    with pytest.raises(MessageTooLarge):
        Bench(2, props={"x": "y" * 70_000})


def test_a_validate_hook_decides_before_anything_is_told() -> None:
    one, other = Bench(1), Bench(2)
    one.hooks.add("service.validate", lambda service: "web" in service.tags)
    introduce(one, other)
    assert one.known == []
    assert one.take(fx.ServiceDiscovered) == []
    assert other.known == ["n1"], "the other decides for itself"


def test_a_validate_hook_that_breaks_fails_closed() -> None:
    one, other = Bench(1), Bench(2)
    one.hooks.add("service.validate", lambda service: 1 / 0)
    introduce(one, other)
    assert one.known == []
    assert one.dropped["service.validate: HookFailed"] == 1


def test_a_refused_member_is_asked_again_when_its_details_change() -> None:
    one, other = Bench(1), Bench(2)
    one.hooks.add("service.validate", lambda service: "web" in service.tags)
    introduce(one, other)
    other.node.take_effects()
    other.node.describe(1.0, tags=["web"])
    other.node.advance(1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    other.hear(one, one.datagrams()[-1], 1.0)
    one.hear(other, other.datagrams()[-1], 1.0)
    assert one.known == ["n2"]


def test_a_member_beyond_the_limit_is_counted() -> None:
    one, other = Bench(1, limits=Limits(members=1)), Bench(2)
    introduce(one, Bench(3))
    one.node.take_effects()
    introduce(one, other)
    assert one.known == ["n3"]
    assert one.dropped["members beyond the limit"] >= 1


def test_leaving_says_goodbye_and_ends_queries() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    session = peer.session("", one.node.config.limits)
    gathering = Gathering(1, 30.0)
    one.node.ask(gathering, 1.0, None, list)
    one.node.take_effects()
    one.node.leave(1.0)
    assert session is not None
    assert gathering.over
    assert gathering.failure is None or isinstance(gathering.failure, NotJoined)
    assert [type(datagram) for datagram in one.datagrams()] == [Leave]
    assert one.node.deadline() is None


def test_messages_to_a_member_that_is_lost_are_counted() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    (peer,) = list(one.node.peers)
    session = peer.session("", one.node.config.limits)

    for _ in range(3):
        session.put(Event(0, 1, b"x"))
    one.node._admission.lose(peer, "left", 1.0)
    session.put(Event(0, 1, b"late"))
    one.node.wake(session, 1.0)
    assert one.dropped["messages to a lost member"] == 4


# --- what we say of ourselves ---


def version_of(bench: Bench) -> int:
    return bench.node.details.version


def test_changes_are_told_together_a_moment_after_the_first() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    one.node.take_effects()
    for number in range(10):
        one.node.describe(1.0, tags=(f"{number}",))
        one.node.describe(1.0, props={"n": number})
    assert one.datagrams() == []
    one.node.advance(1.001)
    carry(one, near, other, far)
    (changed,) = other.take(fx.ServiceChanged)
    assert (changed.service.tags, changed.service.props) == (("9",), {"n": 9})
    assert [type(d) for d in one.datagrams()] == [Beacon]


def test_who_is_sent_something_hears_of_a_change_before_it() -> None:
    one, other = Bench(1), Bench(2)
    introduce(one, other)
    near, far = connect(one, other)
    other.node.take_effects()
    (peer,) = list(one.node.peers)
    one.node.describe(1.0, tags=("new",))
    peer.session("", one.node.config.limits).put(Event(0, 2, b"x"))
    carry(one, near, other, far)
    kinds = [type(effect) for effect in other.node.take_effects()]
    assert kinds == [fx.ServiceChanged, fx.EventsArrived]


def test_a_description_that_says_nothing_new_is_not_told() -> None:
    one = Bench(1, tags=("web",), props={"a": 1})
    version = version_of(one)
    one.node.describe(1.0, tags=("web",))
    one.node.describe(1.0, props={"a": 1})
    assert version_of(one) == version
    one.node.describe(1.0, props={"a": True})  # equal, and another value
    assert version_of(one) == version + 1


def test_what_was_said_does_not_change_with_what_it_was_made_of() -> None:
    props: dict[str, Any] = {"a": [1]}
    one = Bench(1, props=props)
    props["a"].append(2)
    assert one.node.details.props == {"a": [1]}
    one.node.describe(1.0, props=props)
    props["a"].append(3)
    assert one.node.details.props == {"a": [1, 2]}


# --- hostile peers: frames that are well-formed, and nothing else ---

IDS = [bytes([number]) * 16 for number in (1, 2, 3)]  # the node's own, a known one, a stranger
SMALL = some.integers(0, 3) | some.integers(0, 2**64 - 1)
KNOWN = {
    "cluster": some.sampled_from(["default", "default", "other"]),
    "id": some.sampled_from(IDS),
    "boot": some.integers(0, 2),
    "to": some.sampled_from([each + boot.to_bytes(8, "big") for each in IDS for boot in (1, 2)]),
    "lane": some.sampled_from(["", "tcp", "tcp,unix", "nonsense"]),
    "outcome": some.integers(0, 5),
    "address": some.sampled_from(["10.0.0.2", "10.0.0.3", "127.0.0.1", "::1", "not one"]),
}
described = some.builds(
    Details,
    name=some.sampled_from(["n1", "n2", "n3"]),
    host=some.just("host"),
    tags=some.just(()) | some.just(("web",)),
    port=some.integers(0, 65535),
    heartbeat_seconds=some.sampled_from([0.001, 1.0, 999_999.0]),
    props=some.just({}),
    offers=some.just({}) | some.just({"box": 1}),
    observer=some.booleans(),
)
told = some.builds(
    Entry,
    id=KNOWN["id"],
    boot=KNOWN["boot"],
    address=some.sampled_from(["10.0.0.2", "10.0.0.9", "127.0.0.1", "::1", "localhost", ""]),
    details=described,
)


def any_of(kind: Any) -> Any:
    """Any value of a kind, by its annotations; what makes it credible is made likely."""
    fields = {}
    for name, hint in get_type_hints(kind).items():
        if name in KNOWN:
            fields[name] = KNOWN[name]
        elif hint is int:
            fields[name] = SMALL
        elif hint == list[Entry]:
            fields[name] = some.lists(told, max_size=3)
        elif hint == Details | None:
            fields[name] = some.none() | described
        else:
            fields[name] = described if hint is Details else some.from_type(hint)
    return some.builds(kind, **fields)


happenings = some.one_of(
    some.tuples(some.just("datagram"), some.integers(2, 4), some.one_of(
        *map(any_of, Datagram.__args__))),
    some.tuples(some.just("joins"), some.sampled_from([2, 3])),
    some.tuples(some.just("frame"), some.integers(0, 3), some.one_of(
        *map(any_of, LinkFrame.__args__))),
    some.tuples(some.just("link"), some.sampled_from(["10.0.0.2", "10.0.0.3", ""])),
    some.tuples(some.just("refused"), some.integers(2, 4)),
    some.tuples(some.just("lost"), some.integers(0, 3)),
    some.tuples(some.just("time"), some.sampled_from([0.01, 0.3, 1.0, 40.0])),
)  # fmt: skip


class Besieged:
    """A node that knows one member over an open link, and what comes at it."""

    def __init__(self) -> None:
        self.bench, self.friend, self.now = Bench(1, limits=Limits(members=3)), Bench(2), 0.0
        introduce(self.bench, self.friend)
        self.bench.node.start(0.0)
        near, _ = connect(self.bench, self.friend)
        self.node, self.links = self.bench.node, [near]

    def happen(self, name: str, *how: Any) -> None:
        getattr(self, name)(*how)
        self.bench.node.take_effects()
        for link in self.links:
            self.node.take_frames(link)
        assert self.node.deadline() is not None, "it beacons as long as it lives"
        told_of = [peer for peer in self.node.peers if peer.counted is not None]
        prints = [peer.fingerprint for peer in told_of]  # not of who is known to this host alone
        assert reduce(xor, prints, self.node._ourselves.fingerprint) == self.node._views.fingerprint

    def datagram(self, number: int, datagram: Any) -> None:
        try:
            data = codec.encode_datagram(datagram)
        except (msgspec.EncodeError, UnicodeEncodeError, OverflowError):
            return  # what nobody can write
        self.node.datagram_received(data, (f"10.0.0.{number}", 1000 + number), self.now)

    def joins(self, number: int) -> None:
        """A member comes as it should: beacon, probe, reply."""
        who = IDS[number - 1]
        self.datagram(number, Beacon("default", who, 1, 1, b"digest..", ()))
        nonces = [each.nonce for each in self.bench.datagrams() if isinstance(each, Probe)]
        for nonce in nonces:
            details = msgspec.structs.replace(self.friend.node.details, name=f"n{number}")
            self.datagram(number, ProbeReply("default", who, 1, nonce, 7, details, False))

    def frame(self, number: int, frame: Any) -> None:
        try:
            data = codec.encode_frame(frame)
        except (msgspec.EncodeError, UnicodeEncodeError, OverflowError):
            return
        link = self.links[number % len(self.links)]
        self.node.frames_received(link, [data], self.now)

    def link(self, remote: str) -> None:
        opened = self.node.link_opened("tcp", remote, self.now, local=not remote)
        if opened is not None:
            self.links.append(opened)
            self.node.frames_received(opened, [codec.preface()], self.now)

    def refused(self, number: int) -> None:
        self.node.datagram_refused((f"10.0.0.{number}", 1000 + number), self.now)

    def lost(self, number: int) -> None:
        if number < len(self.links) - 1:
            self.node.link_lost(self.links.pop(number + 1), "broke", self.now)

    def time(self, seconds: float) -> None:
        self.now += seconds
        self.node.advance(self.now)


@pytest.mark.timeout(300)  # only a failure takes long: it is made short before it is told
@settings(max_examples=200)
@given(some.sampled_from([1, views.DIRECT_PROOFS]), some.lists(happenings, min_size=8, max_size=25))
def test_no_well_formed_frame_breaks_a_node(direct: int, story: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "DIRECT_PROOFS", direct)  # with 1, its mesh is a large one
        besieged = Besieged()
        for happening in story:
            besieged.happen(*happening)
    assert len(besieged.bench.known) <= 3

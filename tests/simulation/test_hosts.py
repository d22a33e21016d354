"""Several hosts of one LAN, with members that keep to their host beside those that do not."""

from collections import Counter

import pytest

from meshcluster.node import views
from meshcluster.node.views import Views
from meshcluster.testing import Simulation


class Hosts(Simulation):
    """Members with ``ttl=0`` speak and hear on their host alone, by its loopback addresses."""

    def on(self, host, name, **config):
        return self._boot(name, f"10.0.{host}.{len(self._at) + 1}", config)

    def seen(self, member, other):
        """The address of a member as another one sees it; None: not at all."""
        if member.node.config.ttl and other.node.config.ttl:
            return member.address
        same = member.address.split(".")[2] == other.address.split(".")[2]
        return member.address.replace("10.", "127.", 1) if same else None

    def found(self, address):
        return self._at.get(address.replace("127.", "10.", 1))

    def announce(self, sender, data):
        self.snapshots.expect(data)
        for member in self.members:
            if member is not sender and self.seen(sender, member):
                self._fly(sender, data, member)

    def send(self, sender, data, address):
        if self.seen(sender, self.found(address)):
            self._fly(sender, data, self.found(address))

    def _land(self, sender, data, target):
        target.node.datagram_received(data, (self.seen(sender, target), 1), self.now)
        target.step()

    def dial(self, member, number, address, scheme):
        self.after(self.network.delay(), self._dialled, member, number, address, scheme)

    def _dialled(self, member, number, address, scheme):
        target = self.found(address)
        far = target.open_link(self.seen(member, target), None, scheme)
        near = member.open_link(address, number, scheme)
        near.peer, far.peer = far, near
        near.owner.step()
        far.owner.step()


@pytest.fixture
def asked(monkeypatch):
    """How often one member asked another one whom it knows, by their names."""
    found = Counter()

    def requested(self, request, session, now, original=Views.requested):
        found[session.peer.details.name, self._identity.name] += 1
        return original(self, request, session, now)

    monkeypatch.setattr(Views, "requested", requested)
    return found


@pytest.fixture
def mesh(monkeypatch):
    """A mesh that counts as large, with three members of its first host that keep to it."""
    monkeypatch.setattr(views, "DIRECT_PROOFS", 8)

    def mesh(hosts, on_each):
        sim = Hosts(seed=5)
        beyond = [sim.on(n % hosts, f"lan{n}", ttl=1) for n in range(hosts * on_each)]
        quiet = [sim.on(0, f"quiet{n}", ttl=0) for n in range(3)]
        sim.run(60)
        for member in beyond:
            neighbours = len(quiet) * (member.address.split(".")[2] == "0")
            assert len(member.known) == len(beyond) - 1 + neighbours
        for member in quiet:
            assert len(member.known) == on_each + 2
        return sim

    return mesh


@pytest.mark.parametrize(("hosts", "on_each"), [(8, 2), (2, 9)])
def test_neighbours_that_keep_to_their_host_are_no_reason_to_compare_views(
    mesh, asked, hosts, on_each
):
    """Who keeps to its host asks each neighbour once, and knows then that it is of a wider mesh."""
    sim = mesh(hosts, on_each)
    asked.clear()
    sim.run(240)
    assert {who for who, _ in asked} <= {"quiet0", "quiet1", "quiet2"}
    assert set(asked.values()) <= {1}


def test_a_view_that_was_missed_beyond_the_host_is_still_compared(mesh, asked):
    sim = mesh(4, 3)
    here, there = sim.members[0], sim.members[1]
    here.node._admission.lose(here.peer_named(there.name), "by mistake", sim.now)
    here.step()
    assert there.name not in here.known
    sim.run_until(lambda: there.name in here.known, limit=60)

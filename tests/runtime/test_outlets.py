"""What is for all, and what is for this host only, goes by those announcers that do so."""

from meshcluster.node.counters import Counters
from meshcluster.node.effects import Announce
from meshcluster.runtime.outlets import Outlets


class Announcer:
    """Keeps what it is given."""

    def __init__(self):
        self.said = []

    def announce(self, data):
        self.said.append(data)


class Both(Announcer):
    def announce_near(self, data):
        self.said.append(b"near " + data)


class Near(Both):
    near_only = True


def test_each_announcer_gets_what_is_for_those_whom_it_reaches():
    both, near, far = announcers = Both(), Near(), Announcer()
    outlets = Outlets(announcers, Counters())
    outlets.announce(Announce(b"sealed", near=True))
    outlets.announce(Announce(b"plain", near=False))
    assert (both.said, near.said, far.said) == (
        [b"near sealed", b"plain"], [b"near sealed"], [b"plain"],
    )  # fmt: skip


def test_what_is_for_all_goes_by_all():
    announcers = Both(), Near(), Announcer()
    Outlets(announcers, Counters()).announce(Announce(b"all"))
    assert [each.said for each in announcers] == [[b"all"]] * 3

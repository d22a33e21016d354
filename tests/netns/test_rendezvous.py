"""Members of one user on one host meet without any network, in the runtime directory."""

import time

import pytest

from .network import needs


@pytest.fixture(
    params=[
        pytest.param("input", id="multicast is dropped"),
        pytest.param("output", id="multicast is forbidden"),
        pytest.param("down", id="loopback is down"),
        pytest.param("gone down", id="loopback has gone down"),
    ]
)
def host(request, network):
    """A host where multicast does not work, in this way."""
    if request.param == "down":
        return network.host("down")
    if request.param == "gone down":
        return network.host("up", "down")
    needs("nft")
    host = network.host()
    host.drop_multicast(request.param)
    return host


@pytest.fixture
def quiet(network):
    """A host without any IP."""
    return network.host("down")


def files(host):
    """What lies in the runtime directory of a host, below its directories."""
    return sorted(host.runtime_dir.glob("*/*"))


def test_two_members_meet_and_talk(host):
    one, other = host.join("one"), host.join("other")
    assert one.ask("met(1)") == [["other", "127.0.0.1", True]]
    assert other.ask("met(1)") == [["one", "127.0.0.1", True]]
    one.ask("tell('hello from one')")
    assert other.ask("heard()") == ["hello from one", "unix"]
    assert other.ask("answers()") == [["one", "unix"]]


def test_a_killed_member_is_noticed_and_swept_away(host):
    one, other = host.join("one"), host.join("other")
    one.ask("met(1)")
    other.ask("met(1)")
    killed_at = time.time()
    other.kill()
    name, lost_at = one.ask("lost()")
    assert name == "other"
    assert lost_at - killed_at < 3
    assert one.ask("rows()") == []


def test_a_member_that_leaves_is_missed_at_once(host):
    one, other = host.join("one"), host.join("other")
    one.ask("met(1)")
    other.ask("met(1)")  # no link between them: only the goodbye can tell
    left_at = other.ask("leave()")
    name, lost_at = one.ask("lost()")
    assert name == "other"
    assert lost_at - left_at < 0.5


def test_a_change_of_tags_is_heard(host):
    one, other = host.join("one"), host.join("other")
    one.ask("met(1)")
    other.ask("met(1)")
    other.ask("cluster.tags.append('new')")
    assert one.ask("cluster.wait_for_services(resolve='new')[0].name") == "other"


def test_members_with_more_to_say_than_a_datagram_holds_meet(host):
    wordy = host.join("wordy")
    for number in range(30):
        wordy.ask(f"cluster.tags.append('{number:050}')")
    one = host.join("one")
    assert one.ask("met(1)") == [["wordy", "127.0.0.1", True]]
    assert wordy.ask("met(1)") == [["one", "127.0.0.1", True]]
    left_at = one.ask("leave()")
    assert wordy.ask("lost()")[1] - left_at < 0.5


def test_twenty_members_all_meet(quiet):
    members = [quiet.join(f"m{number:02}", wait=False) for number in range(20)]
    for number, member in enumerate(members):
        found = [name for name, _, _ in member.ask("met(19)")]
        assert found == [f"m{other:02}" for other in range(20) if other != number]


def test_who_comes_next_removes_what_the_killed_left(quiet):
    dead = quiet.join("dead")
    left = files(quiet)
    assert len(left) == 6  # a lock and a socket, for unix, for zeromq and for meeting
    dead.kill()
    assert files(quiet) == left
    member = quiet.join("next")
    assert len(files(quiet)) == 6
    assert not {*files(quiet)} & {*left}
    member.ask("leave()")
    assert files(quiet) == []


def test_who_meets_a_killed_member_removes_it(quiet):
    one, other = quiet.join("one"), quiet.join("other")
    one.ask("met(1)")
    other.kill()
    one.ask("lost()")
    meeting = [path for path in files(quiet) if path.parent.name.startswith("meet-")]
    assert len(meeting) == 2


@pytest.mark.parametrize("apart", [{"cluster": "another"}, {"port": 27678}])
def test_meshes_kept_apart_by_name_or_port_do_not_meet(quiet, apart):
    one, stranger = quiet.join("one"), quiet.join("stranger", **apart)
    other, friend = quiet.join("other"), quiet.join("friend", **apart)
    assert one.ask("met(1)") == [["other", "127.0.0.1", True]]
    assert stranger.ask("met(1)") == [["friend", "127.0.0.1", True]]
    assert other.ask("met(1)") == [["one", "127.0.0.1", True]]
    assert friend.ask("met(1)") == [["stranger", "127.0.0.1", True]]
    known = [len(member.ask("rows()")) for member in (one, other, stranger, friend)]
    assert known == [1, 1, 1, 1]


@pytest.mark.parametrize("loopback", [["down"], ["up", "down"]], ids=["never up", "down again"])
def test_joining_warns_once_and_says_what_would_help(network, loopback):
    done = network.host(*loopback).python("-c", "import meshcluster; meshcluster.join().leave()")
    (warning,) = done.stderr.splitlines()
    assert "the loopback interface is down ('ip link set lo up' brings it up)" in warning
    assert "Members of this user on this host still meet" in warning

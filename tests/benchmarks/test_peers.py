"""Every peer that is installed plays its roles for a moment. How fast it is is not looked at."""

import pytest

from benchmarks import entrants
from benchmarks.entrants import SERF, WAYS, Entrant
from benchmarks.parts.peers import BLOCKING, MIB, OURS, PYRO_BATCHES, TALKERS
from benchmarks.process import Crew
from benchmarks.task import AGAIN, FIRST

pytestmark = [pytest.mark.process, pytest.mark.slow]
ABSENT = entrants.absent()
PEERS = [Entrant(name, WAYS[name][0]) for name in (*TALKERS, PYRO_BATCHES)]
DISCOVERERS = [Entrant(entrants.PYRE, AGAIN), Entrant(entrants.MDNS, FIRST)]
RESPONDERS = 3


def installed(*candidates):
    """One case for each, skipped with the reason for it."""
    return [
        pytest.param(
            each, id=str(each),
            marks=pytest.mark.skipif(each.name in ABSENT, reason=ABSENT.get(each.name, "")),
        )
        for each in candidates
    ]  # fmt: skip


def crew(entrant, **more):
    return Crew(entrant.member, entrant.way, seconds=0.02, uvloop=True, **more)


@pytest.mark.parametrize("size", [64, MIB])
@pytest.mark.parametrize("entrant", installed(*PEERS))
def test_every_message_arrives(entrant, size):
    with crew(entrant, body_bytes=size) as members:
        receiver = members.start("receive")
        receiver.hear()
        sent = members.start("send").hear()["sent"]
        assert receiver.hear()["received"] == sent > 0


@pytest.mark.parametrize("entrant", installed(*PEERS))
def test_questions_are_answered_with_many_on_their_way(entrant):
    with crew(entrant) as members:
        members.start("respond").hear()
        assert members.start("ask_many").hear()["rate"] > 0


@pytest.mark.parametrize("entrant", installed(*PEERS, *OURS))
def test_each_responder_answers(entrant):
    member = "awaited" if entrant.name == BLOCKING else ""
    with crew(entrant) as members:
        members.start("respond", member=member, held=RESPONDERS).hear()
        got = members.start("ask", count=RESPONDERS).hear()
        assert got["lost"] == 0
        assert got["median"] > 0


@pytest.mark.parametrize("entrant", installed(Entrant(SERF, *WAYS[SERF])))
def test_a_query_of_agents_is_answered_by_all_of_them_once(entrant):
    with crew(entrant) as members:
        members.start("respond", held=2).hear()
        assert members.start("ask", count=2).hear()["median"] > 0  # others lack answers


@pytest.mark.parametrize("entrant", installed(*DISCOVERERS))
def test_two_that_know_nothing_of_each_other_meet(entrant):
    with crew(entrant) as members:
        both = [members.start("meet") for _ in range(2)]
        for member in both:
            member.hear()
        for member in both:
            member.go()
        began = min(member.hear()["began"] for member in both)
        assert all(member.hear()["knew"] > began for member in both)

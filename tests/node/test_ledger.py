"""What is held for others, in bytes; a body that several receivers share is counted once."""

from meshcluster.config import Limits
from meshcluster.node.ledger import Ledger
from meshcluster.node.membership import Peer
from meshcluster.node.session import Session
from meshcluster.wire.frames import Event

SIZE = 100_000


def sessions(count):
    ledger, made = Ledger(), []
    for number in range(count):
        peer = Peer(bytes([number]) * 16, 1, ("", 0), 0.0)
        peer.ledger = ledger
        made.append(Session(peer, "", Limits()))
    return ledger, made


def test_small_messages_are_not_counted_while_they_wait():
    ledger, (session,) = sessions(1)
    session.put(Event(0, 1, bytes(1024)))
    assert ledger.held_bytes == 0
    frame = session.next_frame()
    assert ledger.held_bytes == session.held_bytes == len(frame)


def test_what_many_sessions_hold_is_the_sum():
    ledger, made = sessions(3)
    for session in made:
        session.put(Event(0, 1, bytes(SIZE)))
    assert ledger.held_bytes == 3 * SIZE
    made[0].discard()
    assert ledger.held_bytes == 2 * SIZE


def test_a_shared_message_counts_once_and_until_the_last_lets_it_go():
    ledger, made = sessions(20)
    message = Event(0, 1, bytes(SIZE))
    ledger.share(message, len(made))
    for session in made:
        session.put(message)
    assert ledger.held_bytes == SIZE
    assert {session.held_bytes for session in made} == {SIZE}
    for session in made[1:]:
        session.discard()
        assert ledger.held_bytes == SIZE
    made[0].discard()
    assert ledger.held_bytes == 0


def test_a_frame_of_each_receiver_is_counted_beside():
    ledger, made = sessions(2)
    message = Event(0, 1, bytes(SIZE))
    ledger.share(message, len(made))
    for session in made:
        session.put(message)
    frame = made[0].next_frame()
    assert ledger.held_bytes == SIZE + len(frame)
    made[1].next_frame()
    assert ledger.held_bytes == 2 * len(frame)
    for session in made:
        session.acknowledged(1, 0)
    assert ledger.held_bytes == 0

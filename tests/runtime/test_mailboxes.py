"""What comes to a mailbox is handed to its receiver, whose value is the answer to a request."""

import logging
import threading

import pytest

from meshcluster.errors import ConfigError, DecodeError, MessageTooLarge, NotJoined
from meshcluster.model import Identity, Service
from meshcluster.node.counters import Counters
from meshcluster.node.effects import NoteArrived, RequestArrived
from meshcluster.runtime.mailboxes import ERROR_CHARACTERS, LATER, Mailboxes, text_of
from meshcluster.wire import body
from meshcluster.wire.frames import ANSWERED, NO_RESPONDER, RAISED, Note, Request

ADA = Service(Identity(bytes(16), 1, "ada", "h"))


def note(value, name="box"):
    return NoteArrived(ADA, "tcp", Note(name, 0, *body.encode(value)))


def request(value, name="box"):
    return RequestArrived(None, ADA, "tcp", Request(7, name, 0, *body.encode(value)))


class Host:
    """Mailboxes of a member that notes what it answers and counts."""

    def __init__(self):
        self.boxes, self.counters, self.answers = Mailboxes(), Counters(), []
        self.told, self.late = [], []
        self.boxes.changed = lambda: self.told.append(dict(self.boxes.offers))

    def answer(self, arrived, outcome, value):
        self.answers.append((arrived.question.id, outcome, value))
        arrived.answered = True

    def take_late(self, arrived):
        self.late.append(arrived)

    def deliver(self, *arrived):
        for each in arrived:
            if isinstance(each, NoteArrived):
                self.boxes.note(self.counters, each)
            else:
                self.boxes.request(self.counters, self, each)


@pytest.fixture
def host():
    return Host()


# --- letters -----------------------------------------------------------------------------------


def test_a_letter_tells_who_sent_it_and_what(host):
    got = []
    host.boxes.open("box", got.append, None)
    host.deliver(note({"a": (1, 2)}), request([1, 2]))
    told, asked = got
    assert (told.service, told.protocol, told.data) == (ADA, "tcp", {"a": (1, 2)})
    assert not told.is_request
    assert asked.is_request
    assert asked.read(tuple[int, int]) == (1, 2)
    assert repr(told) == "<Letter note from ada>"
    assert repr(asked) == "<Letter request from ada>"


def test_data_is_decoded_anew_at_each_access(host):
    got = []
    host.boxes.open("box", got.append, None)
    host.deliver(note([1]))
    (letter,) = got
    letter.data.append(2)
    assert letter.data == [1]


def test_a_body_that_is_not_what_its_form_says_is_an_error_when_it_is_read(host):
    broken = RequestArrived(None, ADA, "tcp", Request(7, "box", 0, body.EXTENDED, b"\xc1"))
    raised = []

    def receive(letter):
        try:
            return letter.data
        except DecodeError as error:
            raised.append(error)
            raise

    host.boxes.open("box", receive, None)
    host.deliver(broken)
    ((_, outcome, (kind, _)),) = host.answers
    assert (outcome, kind, len(raised)) == (RAISED, "DecodeError", 1)


# --- answers -----------------------------------------------------------------------------------


def test_what_the_receiver_returns_is_the_answer_to_a_request_and_nothing_to_a_note(host):
    host.boxes.open("box", lambda letter: letter.data + 1, None)
    host.deliver(note(1), request(41))
    assert host.answers == [(7, ANSWERED, 42)]


def test_none_is_an_answer_too(host):
    host.boxes.open("box", lambda letter: None, None)
    host.deliver(request(1))
    assert host.answers == [(7, ANSWERED, None)]


def test_a_receiver_that_raises_fails_the_request_and_is_counted_and_logged(host, caplog):
    def receive(letter):
        raise KeyError("no such thing")

    host.boxes.open("box", receive, None)
    with caplog.at_level(logging.INFO):
        host.deliver(request(1), note(1))
    assert host.answers == [(7, RAISED, ["KeyError", "'no such thing'"])]
    assert host.counters.as_dict() == {"hooks that raised": 2}
    assert [(r.levelname, r.exc_info[0]) for r in caplog.records] == [
        ("INFO", KeyError),  # the asker is told of it
        ("ERROR", KeyError),
    ]


def test_later_is_answered_later_from_any_thread(host):
    kept = []
    host.boxes.open("box", lambda letter: kept.append(letter) or LATER, None)
    host.deliver(request(1))
    assert host.answers == []
    assert [arrived.question.id for arrived in host.late] == [7]
    thread = threading.Thread(target=kept[0].reply, args=("at last",))
    thread.start()
    thread.join()
    assert host.answers == [(7, ANSWERED, "at last")]


def test_a_request_can_be_failed_later(host):
    kept = []
    host.boxes.open("box", lambda letter: kept.append(letter) or LATER, None)
    host.deliver(request(1))
    kept[0].fail(ValueError("no"))
    assert host.answers == [(7, RAISED, ["ValueError", "no"])]


def test_the_first_answer_counts(host):
    def receive(letter):
        letter.reply("first")
        letter.reply("second")
        letter.fail(ValueError("third"))
        return "fourth"

    host.boxes.open("box", receive, None)
    host.deliver(request(1))
    assert host.answers == [(7, ANSWERED, "first")]


def test_an_answer_to_a_note_goes_nowhere(host):
    host.boxes.open("box", lambda letter: letter.reply("thanks"), None)
    host.deliver(note(1))
    assert host.answers == []


def test_only_what_is_not_answered_at_once_is_noted(host):
    def receive(letter):
        if letter.data:
            letter.reply("at once")
            return LATER
        return None

    host.boxes.open("box", receive, None)
    host.deliver(request(0), request(1), note(0))
    assert host.answers == [(7, ANSWERED, None), (7, ANSWERED, "at once")]
    assert host.late == []


@pytest.mark.parametrize("finish", ["reply", "fail"])
def test_an_answer_after_leaving_is_ignored(host, finish, monkeypatch):
    def left(arrived, outcome, value):
        raise NotJoined("the cluster was left")

    kept = []
    host.boxes.open("box", lambda letter: kept.append(letter) or LATER, None)
    host.deliver(request(1))
    monkeypatch.setattr(host, "answer", left)
    getattr(kept[0], finish)(ValueError("too late"))


@pytest.mark.parametrize("arrived", [note(1), request(1)], ids=["note", "request"])
@pytest.mark.parametrize("box", ["none", "closed", "only asks"])
def test_what_comes_for_no_mailbox_is_counted_and_its_asker_told(host, box, arrived):
    if box != "none":
        host.boxes.open("box", None if box == "only asks" else print, None)
    if box == "closed":
        host.boxes.close("box")
    host.deliver(arrived)
    asked = isinstance(arrived, RequestArrived)
    assert host.answers == ([(7, NO_RESPONDER, None)] if asked else [])
    assert host.counters.as_dict() == {"letters for no mailbox": 1}


def test_later_has_a_name():
    assert repr(LATER) == "LATER"


def test_the_text_of_an_exception_is_short_and_can_be_sent():
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError

    assert text_of(ValueError("x" * 20_000)) == "x" * ERROR_CHARACTERS
    assert text_of(ValueError("\ud800")) == "?"
    assert text_of(Silent()) == "(its text cannot be had)"


# --- names and offers --------------------------------------------------------------------------


def test_mailboxes_are_told_apart_by_their_names(host):
    got = []
    host.boxes.open("a", lambda letter: got.append(("a", letter.data)), None)
    host.boxes.open("b", lambda letter: got.append(("b", letter.data)), None)
    host.deliver(note(1, "b"), note(2, "a"))
    assert got == [("b", 1), ("a", 2)]


def test_a_name_is_taken_until_it_is_closed(host):
    host.boxes.open("box", print, None)
    with pytest.raises(ConfigError, match="'box' is open already: close it first"):
        host.boxes.open("box", None, None)
    host.boxes.close("box")
    host.boxes.open("box", None, None)


@pytest.mark.parametrize("name", ["", "x" * 65, "new\nline", None, 5, "\ud800"])
def test_a_name_is_a_short_printable_text(host, name):
    with pytest.raises(ConfigError):
        host.boxes.open(name, print, None)
    assert host.told == []


async def awaited(letter): ...


class Awaited:
    async def __call__(self, letter): ...


@pytest.mark.parametrize("receive", [awaited, Awaited(), "print", 5])
def test_a_receiver_is_a_plain_function(host, receive):
    with pytest.raises(ConfigError, match="plain function"):
        host.boxes.open("box", receive, None)
    assert host.told == []


def test_a_receiver_takes_one_argument(host):
    with pytest.raises(ConfigError, match="must take one argument, the Letter: too many"):
        host.boxes.open("box", lambda: None, None)
    assert host.told == []


def test_each_change_of_the_offers_is_told(host):
    host.boxes.open("a", print, {"version": 1})
    host.boxes.open("b", print, None)
    host.boxes.open("only asks", None, None)
    host.boxes.set_offer("a", {"version": 2})
    host.boxes.close("a")
    host.boxes.close("a")
    host.boxes.close("only asks")
    assert host.told == [
        {"a": {"version": 1}},
        {"a": {"version": 1}, "b": None},
        {"a": {"version": 2}, "b": None},
        {"b": None},
    ]


@pytest.mark.parametrize("offer", [object(), (1, 2), {1: 2}, 2**70])
def test_an_offer_is_a_plain_value(host, offer):
    with pytest.raises(ConfigError, match="offer of mailbox box"):
        host.boxes.open("box", print, offer)
    host.boxes.open("box", print, 1)
    with pytest.raises(ConfigError, match="offer of mailbox box"):
        host.boxes.set_offer("box", offer)
    assert host.told == [{"box": 1}]


@pytest.mark.parametrize("opened", [True, False])
def test_an_offer_that_does_not_fit_changes_nothing(host, opened):
    if opened:
        host.boxes.open("box", print, 1)

    def refuse():
        raise MessageTooLarge("too large")

    host.boxes.changed = refuse
    with pytest.raises(MessageTooLarge):
        host.boxes.set_offer("box", 2) if opened else host.boxes.open("box", print, 2)
    assert host.boxes.offers == ({"box": 1} if opened else {})
    host.boxes.changed = lambda: None
    if not opened:
        host.boxes.open("box", print, 3)  # the name is free


@pytest.mark.parametrize("box", ["closed", "never opened", "only asks"])
def test_an_offer_needs_a_receiver(host, box):
    """Or others would send to a mailbox that is not there."""
    if box != "never opened":
        host.boxes.open("box", print if box == "closed" else None, None)
    if box == "closed":
        host.boxes.close("box")
    told = list(host.told)
    with pytest.raises(ConfigError, match="no receiver"):
        host.boxes.set_offer("box", 1)
    assert host.told == told

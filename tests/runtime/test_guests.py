"""What guests say, on its way to hooks and back."""

import asyncio

import pytest

from meshcluster.runtime.guests import asked
from meshcluster.wire.frames import ANSWERED, NO_RESPONDER, OVERLOADED, RAISED


@pytest.mark.parametrize(
    ("outcome", "value", "told"),
    [
        (ANSWERED, b"raw", (b"ok", b"raw")),
        (ANSWERED, "text", (b"ok", b"text")),
        (ANSWERED, None, (b"ok", b"")),
        (NO_RESPONDER, None, (b"none", b"")),
        (OVERLOADED, None, (b"busy", b"")),
        (RAISED, ["KeyError", "7"], (b"error", b"KeyError: 7")),
        (ANSWERED, 7, (b"error", b"a guest is answered with bytes or text, not int")),
    ],
)
async def test_each_outcome_is_a_status_and_a_body(outcome, value, told):
    answered = asyncio.get_running_loop().create_future()
    questions = []
    asked(questions.append, "zeromq", "10.0.0.9", b"?", lambda *got: answered.set_result(got))
    (question,) = questions
    assert (question.service.name, question.service.address) == ("guest", "10.0.0.9")
    await asyncio.to_thread(question.answered, outcome, value)  # as responders' threads do
    assert await asyncio.wait_for(answered, 10) == told


def test_an_answer_after_the_loop_is_closed_is_dropped():
    questions = []

    async def ask():
        asked(questions.append, "zeromq", "", b"?", lambda *got: pytest.fail("nobody is there"))

    asyncio.run(ask())
    questions[0].answered(ANSWERED, b"late")

"""What announcers bring is taken at once, and leaves nothing behind that wakes a member."""

import asyncio

from meshcluster.node.node import Node
from meshcluster.testing.jumping import run

MINUTE = 60.0


def test_a_timer_whose_question_is_answered_wakes_nobody(monkeypatch):
    """Members of one host ask each other three times a second: so often each would wake for
    nothing, and an idle member is paid for by its wakes.
    """
    useless, advance = [], Node.advance

    def watched(node, now):
        due = node.deadline()
        if due is None or due > now + 0.001:
            useless.append(now)
        advance(node, now)

    async def main(mesh):
        one, _ = [await mesh.join(name) for name in ("one", "other")]
        await one.wait_for_services()
        monkeypatch.setattr(Node, "advance", watched)
        await asyncio.sleep(MINUTE)

    run(main, seed=1)
    assert len(useless) < 3

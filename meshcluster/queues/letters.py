"""What travels between the mailboxes of this package: lists that begin with one of these words and
the queue's name. Each is a request, so that who sends it learns that the other is gone.

Items are numbered for each consumer by itself, so what it acknowledges are its own numbers.
"""

from __future__ import annotations

MAILBOX = "meshcluster.queues"
"""Its offer is ``{name: [mode, kind]}`` of the queues that a member puts items into; ``[mode, kind,
ENDED]`` of those that were closed and are done."""
ENDED = "ended"

ATTACH = "attach"
"""``[ATTACH, name, mode, kind, credit]``, from a consumer; the answer is ``[True, lease, run,
ended]``: the seconds after which items of a consumer that says nothing go to others, a number that
is another one when the queue was opened again, whether it has ended; or ``[False, why not]``."""
ITEMS = "items"
"""``[ITEMS, name, first, deliveries, *items]``: bytes each, with the numbers from ``first`` on;
``deliveries`` is how many consumers failed with them before."""
ACK = "ack"
"""``[ACK, name, credit, *numbers]``: these are done, and so many may be in hand."""
RESULTS = "results"
"""``[RESULTS, name, credit, [number, ...], [result, ...]]``: done, with what came of them, bytes
each."""
BACK = "back"
"""``[BACK, name, counts, *numbers]``: not done; ``counts``: as a delivery that failed."""
HOLD = "hold"
"""``[HOLD, name]``: still here. The answer is False to who was given up, and comes again."""
DETACH = "detach"
"""``[DETACH, name]``: takes no more."""
END = "end"
"""``[END, name, run]``, from a producer: closed, and all of it done."""

ONE, ALL, KEY = MODES = ("one", "all", "key")
READY, ROUND_ROBIN = POLICIES = ("ready", "round_robin")

"""How much a consumer wants in hand is what it does in a while, however long items take to come."""

from meshcluster.queues.consuming import Consuming
from meshcluster.queues.settings import Settings
from meshcluster.rpc.values import Values
from tests.queues.test_outlets import service

ROUNDS = 12


def test_time_spent_waiting_for_items_is_no_time_spent_on_them():
    here = []
    settings = Settings(values=Values(), most_bytes=lambda: 1 << 20)
    consuming = Consuming("work", settings, lambda *letter: None, here.extend, lambda: None)
    producer = service(1)
    consuming.found(producer)
    source = consuming.sources[producer.key]
    for first in range(1, ROUNDS * 100, 100):
        source.began -= 60.0  # as if they had been on their way for so long
        consuming.items(producer, first, 0, [b"x"] * 100)
        while here:
            consuming.done(here.pop(), None, more=bool(here))
    assert source.credit > 100

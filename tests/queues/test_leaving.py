"""Who leaves, with items in hand or while others leave too."""

import pytest

import meshcluster
from meshcluster.queues import consuming

pytestmark = pytest.mark.usefixtures("own_mesh")


def test_what_comes_of_an_item_lost_at_most_once_is_no_result() -> None:
    with meshcluster.join(name="desk") as desk, meshcluster.join(name="worker") as worker:
        jobs = desk.queue("jobs", at_most_once=True)
        future = jobs.submit("one")
        taking = worker.queue("jobs")
        assert taking.get(20).item == "one"
        taking.close()
        with pytest.raises(meshcluster.Undelivered) as caught:
            future.result(20)
    assert (caught.value.items, jobs.lost, jobs.pending) == (("one",), 1, 0)


def test_what_is_given_up_is_told_with_its_item() -> None:
    with meshcluster.join(name="desk") as desk:
        jobs = desk.queue("jobs")
        futures = [jobs.submit(number) for number in range(3)]
        with pytest.raises(meshcluster.Undelivered, match="3 items are not done") as caught:
            jobs.close(0)
        assert caught.value.items == (0, 1, 2)
        for number, future in enumerate(futures):
            with pytest.raises(meshcluster.Undelivered, match="an item is not done") as caught:
                future.result(20)
            assert caught.value.items == (number,)


def test_a_producer_that_does_not_come_back_is_told_of_before_the_end(monkeypatch) -> None:
    monkeypatch.setattr(consuming, "RETURN_SECONDS", 0.3)
    with meshcluster.join(name="worker") as worker, meshcluster.join(name="desk") as desk:
        desk.queue("jobs").put("one")
        taking = worker.queue("jobs")
        taken = taking.get(20)
        desk.leave()
        taken.done()
        while not taking.over:
            pass  # looks at every moment
        assert [service.name for service in taking.lost_producers] == ["desk"]
        assert taking.get(20) is None


def test_a_hook_that_runs_while_we_leave_raises_nothing() -> None:
    with meshcluster.join(name="desk"), meshcluster.join(name="worker") as worker:
        worker.queue("jobs").put(1)
        (service,) = worker.wait_for_services()
        queues = worker._queues
        worker.leave()
        queues._found(service)
        queues._lost(service)

"""Hooks of every kind on one member: who may come in, what may come in, who answers what."""

import time
from collections import Counter, deque

import meshcluster
from meshcluster.hooks.ready import localhost_only, trace

LIMIT, SECONDS = 3, 60.0

cluster = meshcluster.Cluster()
cluster.hook("service.validate")(localhost_only)
refused: Counter[str] = Counter()
heard: list[str] = []
traced: list[str] = []
recent: dict[meshcluster.Service, deque[float]] = {}


@cluster.hook("service.validate", order=1)  # after localhost_only
def of_our_team(service: meshcluster.Service) -> bool:
    return service.props.get("team") == "red"


@cluster.hook("receive")
def not_too_much(message: meshcluster.Message) -> None:
    """Events above a rate are dropped; answers and questions pass."""
    if message.kind != "event":
        return
    times = recent.setdefault(message.service, deque(maxlen=LIMIT))
    now = time.monotonic()
    if len(times) == LIMIT and now - times[0] < SECONDS:
        refused[message.service.name] += 1
        raise meshcluster.HookRejected("too much")
    times.append(now)


@cluster.hook("receive", channel=5)
def in_capitals(message: meshcluster.Message) -> meshcluster.Message:
    return message.replace(data=message.data.upper())


@cluster.hook("service.lost")
def forget(service: meshcluster.Service) -> None:
    recent.pop(service, None)


@cluster.hook("event")
def hear(event: meshcluster.Message) -> None:
    heard.append(f"{event.data} from {event.service.name}")


@cluster.hook("query", order=-1)
def time_of_day(question: meshcluster.Message) -> object:
    return "noon" if question.data == "time" else meshcluster.PASS


@cluster.hook("query")
def anything_else(question: meshcluster.Message) -> str:
    return f"what is {question.data}?"


with (
    cluster.join(name="red-1", props={"team": "red"}, channels=[5]),
    meshcluster.join(name="red-2", props={"team": "red"}) as friend,
    meshcluster.join(name="blue", props={"team": "blue"}) as stranger,
):
    (red,) = friend.wait_for_services(resolve="red-1")
    stranger.wait_for_services(resolve="red-1")
    cluster.wait_for_services(resolve="red-2")
    print("red-1 knows", *(service.name for service in cluster.services))

    tracing = trace(cluster, traced.append)
    friend.send("hello", resolve="red-1", channel=5)
    for number in range(5):
        friend.send(number, resolve="red-1")
    print(*red.query("time").wait().values(), *red.query("space").wait().values())
    tracing.remove()
# Left, and with that all hooks have run.
print("heard", *heard, sep="\n  ")
print("traced", *traced, sep="\n  ")
print("refused", dict(refused))

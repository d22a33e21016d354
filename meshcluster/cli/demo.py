"""``meshcluster demo``: three real processes, told as a story, with true timings."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from .options import Command, Example, Settings

NAMES = ("ada", "ben", "cleo")
LEAVE_SECONDS = 3.0
STEP_SECONDS = 8.0
"""A step that takes longer has failed."""

Fact = dict[str, Any]


class Actor:
    """One member process of the demo and what it has said."""

    def __init__(self, name: str, mesh: str) -> None:
        self.name = name
        self._kept: list[Fact] = []
        self._said: queue.Queue[Fact] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "meshcluster.cli.demo_member", name, mesh],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8",
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(json.loads(line))
        self._said.put({"what": "failed", "text": f"{self.name} has ended before its time"})

    def tell(self, *words: str) -> None:
        """Gives it an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()

    def wait(self, what: str, who: str | None = None) -> Fact:
        """The next fact of a kind; others that come before it are kept for later.

        Raises:
            ClusterError: it cannot, or there was none in time.
        """
        from ..errors import ClusterError

        deadline = time.monotonic() + STEP_SECONDS
        while True:
            for fact in self._kept:
                if fact["what"] == what and who in (None, fact.get("who")):
                    self._kept.remove(fact)
                    return fact
            try:
                said = self._said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                about = f" {who}" if who else ""
                raise ClusterError(
                    f"{self.name} has not {what}{about} after {STEP_SECONDS:g} s"
                ) from None
            if said["what"] == "failed":
                raise ClusterError(said["text"])
            self._kept.append(said)

    def kill(self) -> float:
        """``kill -9``; returns when."""
        when = time.monotonic()
        self._process.send_signal(signal.SIGKILL)
        return when

    def end(self) -> None:
        """Lets it leave; ends it when it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(STEP_SECONDS)
        self._process.stdout.close()


@contextmanager
def cast() -> Iterator[list[Actor]]:
    """The three processes, ended afterwards."""
    actors: list[Actor] = []
    try:
        for name in NAMES:
            actors.append(Actor(name, f"demo-{os.getpid()}"))
        yield actors
    finally:
        for actor in actors:
            actor.end()


@click.command(cls=Command, examples=(Example("meshcluster demo", "the whole story"),))
def command(settings: Settings) -> None:
    """Watch three real processes find each other and talk, answer a query and lose one of them.

    Takes a few seconds, minds no options, stays on this machine, leaves nothing behind. Exit code
    1 when a step did not happen.
    """
    with cast() as actors:
        _meet(actors)
        _talk(actors)
        _ask(actors)
        _lose(actors)
    click.echo()
    click.secho("That was all real: three processes, no server, no configuration.", bold=True)
    click.echo("Next: the examples in README.md, then docs/.")


def _meet(actors: list[Actor]) -> None:
    _title("Three processes join the mesh")
    joined = {actor.name: actor.wait("joined") for actor in actors}
    for actor in actors:
        took = _ms(joined[actor.name]["at"] - joined[actor.name]["since"])
        _line(actor.name, f"process {actor.pid} joined, its sockets open after {took}")
    for actor in actors:
        others = {other.name for other in actors if other is not actor}
        found = []
        while others:
            fact = actor.wait("discovered")
            others.discard(fact["who"])
            both = max(joined[actor.name]["since"], joined[fact["who"]]["since"])
            found.append(f"{_name(fact['who'])} {_ms(fact['at'] - both)}")
        _line(actor.name, f"discovered {' and '.join(found)} after the later one's call of join")


def _talk(actors: list[Actor]) -> None:
    _title("A message over each protocol")
    ada, ben, cleo = actors
    for other, protocol in ((ben, "unix"), (cleo, "tcp")):
        ada.tell("send", other.name, protocol)
        first = _delivered(ada, other)
        ada.tell("send", other.name, protocol)
        _, again = _delivered(ada, other)
        fact, opened = first
        _line(
            other.name,
            f"heard {fact['text']!r} from {_name('ada')} over "
            f"{click.style(fact['protocol'], bold=True)}: {_ms(opened)} with opening the link, "
            f"{_ms(again)} on the open one",
        )


def _delivered(sender: Actor, receiver: Actor) -> tuple[Fact, float]:
    sent = sender.wait("sent", receiver.name)
    heard = receiver.wait("heard", sender.name)
    return heard, heard["at"] - sent["at"]


def _ask(actors: list[Actor]) -> None:
    _title("A question to everybody with the tag 'demo' on this host")
    ada = actors[0]
    for round_number in (1, 2):
        ada.tell("query")
        answers = [ada.wait("answered") for _ in actors[1:]]
        complete = ada.wait("complete")
        if round_number == 2:  # the first opened what was not open yet
            for answer in sorted(answers, key=lambda each: str(each["who"])):
                took = _ms(answer["at"] - answer["since"])
                _line(ada.name, f"was answered {answer['text']!r} after {took}")
            took = _ms(complete["at"] - complete["since"])
            _line(ada.name, f"has all {complete['count']} answers: complete after {took}")


def _lose(actors: list[Actor]) -> None:
    ada, ben, cleo = actors
    _title(f"kill -9 {cleo.pid}")
    killed = cleo.kill()
    for survivor in (ada, ben):
        fact = survivor.wait("lost", cleo.name)
        _line(survivor.name, f"noticed that {_name(cleo.name)} is gone after "
              f"{_ms(fact['at'] - killed)}")  # fmt: skip
    _title(f"{ben.name} leaves")
    ben.tell("leave")
    left = ben.wait("leaving")
    fact = ada.wait("lost", ben.name)
    _line(ada.name, f"was told after {_ms(fact['at'] - left['at'])}")


def _title(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def _line(name: str, text: str) -> None:
    click.echo(f"  {_name(name)}{' ' * (5 - len(name))} {text}")


def _name(name: str) -> str:
    colors = dict(zip(NAMES, ("cyan", "yellow", "magenta"), strict=True))
    return click.style(name, fg=colors[name])


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"

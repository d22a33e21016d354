"""``meshcluster join``: a member that shows what happens, answers with a command if it is given
one, and runs those of others if it is told to.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .ending import Ended, told_to_end
from .feed import Feed
from .members import described
from .options import Command, Example, Settings, label
from .screen import GAP, Screen, width
from .values import dumped, escaped, text_of

if TYPE_CHECKING:
    from ..model import Service
    from ..sync.cluster import Cluster
    from ..wire.message import Message
    from .responder import Responder

Fact = dict[str, Any]
"""Something that happened, as ``--json`` shows it: time, what, name and id first."""

INTERRUPTED = 130
NAME_CELLS = 16

LOOK_SECONDS = 0.5
"""Between two looks whether anybody still reads what we write."""

HAND_OVER_SECONDS = 0.05
"""Between the end of a command that we killed and our goodbye: its asker is still told why."""


def split(ctx: click.Context, param: click.Parameter, value: str | None) -> list[str] | None:
    """The words of a command line whose program is there."""
    if value is None:
        return None
    if os.name != "posix":
        raise click.BadParameter("needs a POSIX system", ctx, param)
    try:
        words = shlex.split(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}", ctx, param) from None
    if not words or shutil.which(words[0]) is None:
        what = f"no program {words[0]!r} is found" if words else "empty"
        hint = "a program and its arguments, such as 'uptime -p'; a pipeline needs sh -c '...'"
        raise click.BadParameter(f"{what}: {hint}", ctx, param)
    return words


def posix(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    """A flag that needs a shell."""
    if value and os.name != "posix":
        raise click.BadParameter("needs a POSIX system", ctx, param)
    return value


@click.command(
    cls=Command,
    examples=(
        Example("meshcluster join", "be there, and watch"),
        Example("meshcluster join --tag web --tag blue --name web-1", "with tags and a name"),
        Example("meshcluster join --tag up --exec uptime", "answer every query with a command"),
        Example("meshcluster join --exec \"sh -c 'read n; echo $((n * n))'\"",
                "the question is what the command reads"),
        Example("meshcluster join --tag app --allow-commands", "run what jobs of others send"),
        Example("meshcluster join --json | jq -r 'select(.what == \"lost\").name'",
                "who is lost, for a script"),
    ),
)  # fmt: skip
@click.option("--tag", "-t", "tags", metavar="TAG", multiple=True, callback=label,
              help="A word others can resolve it by. May be given many times.")  # fmt: skip
@click.option("--name", "-n", metavar="NAME", callback=label, help="What it is called.")
@click.option("--exec", "-x", "words", metavar="CMD", callback=split,
              help="Answer queries with this command. No shell is used.")  # fmt: skip
@click.option("--allow-commands", is_flag=True, callback=posix,
              help="Run commands that other members send, as you.")  # fmt: skip
def command(
    settings: Settings, tags: tuple[str, ...], name: str | None, words: list[str] | None,
    allow_commands: bool,
) -> int:  # fmt: skip
    """Be a member and show what happens, until Ctrl-C or SIGTERM; then it leaves cleanly.

    A line each: discovered, changed, suspect (it does not answer), recovered, conflict (it has the
    name of another one on its host), lost (and why), event (somebody sent something), answered,
    failed (a query that CMD answered or did not), asked (a query, without --exec), ran (a command,
    with --allow-commands).

    CMD reads the question on stdin (a str as it is, bytes raw, anything else as JSON). What it
    writes, without the last line end, is the answer. If it exits with another code than 0, takes
    longer than --timeout or writes more than 8 MiB, the asker gets a RemoteError with the end of
    its stderr. Up to 8 run at a time. It is run for nobody who has not proved to have a key of
    ours: who answers beyond this host takes --secret-file. With --allow-commands such members may
    run any command of theirs here.

    In a pipe: time, what, name, details, separated by tabs. JSON: one object a line with time
    (seconds since 1970), what, name, id and, of members: service; of messages: data, channel,
    protocol; of queries: answer or error, and milliseconds; of commands: command.
    """
    from .responder import Responder

    screen = Screen()
    responder = Responder(words, settings.timeout) if words else None
    member = Member(responder, allow_commands=allow_commands)
    teller = Teller(screen, settings)
    if screen.terminal and not settings.json:
        screen.note("Ctrl-C leaves")
    if allow_commands and refuses_other_hosts(settings):
        screen.note(REFUSED)
    with told_to_end():
        code = INTERRUPTED
        try:
            with member.joined(settings, tags, name):
                while screen.is_read:
                    fact = member.feed.take(LOOK_SECONDS)
                    if fact is not None:
                        teller.tell(fact)
                return 0
        except KeyboardInterrupt:
            pass
        except Ended:
            code = 0
        for fact in member.feed.rest():
            teller.tell(fact)
    return code


UNPROVEN = "commands are run for members that have our secret only: join with --secret-file"


REFUSED = "commands of members of other hosts are refused without --secret-file"


def refuses_other_hosts(settings: Settings) -> bool:
    """There are members of other hosts, and we have no secret to know them by.

    Raises:
        ConfigError: the secret cannot be used.
    """
    from ..runtime.secrets import secrets_of

    return settings.ttl > 0 and not secrets_of(settings.joining.get("secret"), os.environ)


class Member:
    """The member: its hooks put what happens into ``feed``."""

    def __init__(self, responder: Responder | None, *, allow_commands: bool = False) -> None:
        self.feed: Feed[Fact] = Feed()
        self._responder = responder
        self._allows = allow_commands

    def joined(self, settings: Settings, tags: tuple[str, ...], name: str | None) -> Joined:
        """Joins; leaves at the end of ``with``."""
        import logging

        from ..sync.cluster import Cluster

        logging.basicConfig(format="meshcluster: %(message)s")
        cluster = Cluster()
        if self._allows:
            from ..jobs.serving import allow_commands

            allow_commands(cluster, self._ran)
        cluster.join(tags, name=name, **settings.joining)
        return Joined(self, cluster, self._responder)

    def place_hooks(self, cluster: Cluster) -> None:
        """From here on it is told what happens; nothing has been missed."""
        cluster.hook("service.discovered")(self._observer("discovered"))
        cluster.hook("service.changed")(self._observer("changed"))
        cluster.hook("service.suspect")(self._observer("suspect"))
        cluster.hook("service.recovered")(self._observer("recovered"))
        cluster.hook("service.conflict")(self._observer("conflict"))
        cluster.hook("service.lost")(self._observer("lost"))
        cluster.hook("event")(self._heard)
        cluster.hook("query")(self._asked)

    def happened(self, what: str, name: str, member_id: str, **facts: Any) -> None:
        """Something happened, now."""
        self.feed.put({"time": round(time.time(), 3), "what": what, "name": name,
                       "id": member_id, **facts})  # fmt: skip

    def _observer(self, what: str) -> Callable[[Service], None]:
        def observe(service: Service) -> None:
            self.happened(what, service.name, service.id, service=described(service))

        return observe

    def _ran(self, service: Service, command: str) -> bool:
        self.happened("ran", service.name, service.id, command=command)
        return True

    def _heard(self, event: Message) -> None:
        self._message("event", event)

    def _message(self, what: str, message: Message, **facts: Any) -> None:
        assert message.service is not None
        self.happened(
            what, message.service.name, message.service.id, data=message.data,
            channel=message.channel, protocol=message.protocol, **facts,
        )  # fmt: skip

    def _asked(self, question: Message) -> object:
        from ..hooks import PASS
        from .responder import CommandFailed

        if self._responder is None:
            self._message("asked", question)
            return PASS
        started = time.perf_counter()
        outcome: Fact = {}
        try:
            if question.service is None or not question.service.authenticated:
                raise CommandFailed(UNPROVEN)
            outcome["answer"] = answer = self._responder.answer(question.data)
            return answer
        except CommandFailed as error:
            outcome["error"] = str(error)
            raise
        finally:
            took = round((time.perf_counter() - started) * 1000, 1)
            what = "answered" if "answer" in outcome else "failed"
            self._message(what, question, **outcome, milliseconds=took)


class Joined:
    """While the member is there."""

    def __init__(self, member: Member, cluster: Cluster, responder: Responder | None) -> None:
        self._member = member
        self._cluster = cluster
        self._responder = responder

    def __enter__(self) -> Cluster:
        self._happened("joined", tags=list(self._cluster.tags))
        self._member.place_hooks(self._cluster)
        return self._cluster

    def __exit__(self, *_: object) -> None:
        self._member.feed.close()
        if self._responder is not None and self._responder.close():
            time.sleep(HAND_OVER_SECONDS)
        self._happened("left")
        self._cluster.leave()

    def _happened(self, what: str, **facts: Any) -> None:
        config = self._cluster.config
        member_id = self._cluster.uuid.partition("@")[0]
        self._member.happened(what, config.name, member_id, cluster=config.cluster, **facts)


class Teller:
    """Shows facts: for people, for pipes, as JSON."""

    def __init__(self, screen: Screen, settings: Settings) -> None:
        self._screen = screen
        self._json = settings.json

    def tell(self, fact: Fact) -> None:
        """One line."""
        if self._json:
            self._screen.say(dumped(fact))
        elif self._screen.terminal:
            self._screen.say(self._line(fact))
        else:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(fact["time"]))
            cells = (stamp, fact["what"], fact["name"], details(fact))
            self._screen.say("\t".join(map(escaped, cells)))

    def _line(self, fact: Fact) -> str:
        name = fact["name"]
        clock = time.strftime("%H:%M:%S", time.localtime(fact["time"]))
        what = self._screen.paint(f"{fact['what']:<10}")
        start = GAP.join((clock, what, name + " " * (NAME_CELLS - width(name))))
        taken = len(clock) + 10 + max(NAME_CELLS, width(name)) + 3 * len(GAP)
        return f"{start}{GAP}{self._screen.shortened(details(fact), taken)}".rstrip()


def details(fact: Fact) -> str:
    """What is to be said beside what happened and to whom."""
    what = fact["what"]
    if what == "lost":
        return str(fact["service"]["reason"])
    if "service" in fact:
        service = fact["service"]
        return _words(service["tags"], service["address"])
    if what == "joined":
        return _words(fact["tags"], f"cluster '{fact['cluster']}'")
    if what == "ran":
        return str(fact["command"])
    if what == "left":
        return ""
    channel = f" (channel {fact['channel']})" if fact["channel"] else ""
    data = text_of(fact["data"])
    if what == "event":
        return f"{data}{channel}"
    if what == "asked":
        return f"{data}{channel} -> nothing here answers: --exec CMD would"
    outcome = text_of(fact["answer"]) if "answer" in fact else fact["error"]
    return f"{fact['milliseconds']:.0f} ms  {data}{channel} -> {outcome}"


def _words(tags: list[str], place: str) -> str:
    return f"{place}  tags: {' '.join(tags)}" if tags else place

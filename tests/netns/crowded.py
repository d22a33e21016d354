"""Members that are forked as they are wanted, each on its host: ``crowded.py HOSTS``, these being a
JSON list of [namespace, runtime directory].

It prints "ready"; each line it reads is JSON: [number, name, ``join``'s options] starts a member on
the host of that number, [process id, expression] asks one (``joined.py``). All that its members see
is printed, a JSON list a line, as ``sights.py`` has it. At the end of its input they leave.
"""

import ctypes
import json
import os
import signal
import sys
import time

from forked import enter
from joined import Member

import meshcluster

PR_SET_PDEATHSIG = 1


def say(what, name="", member_id="", why="", value=None, at=None):
    """One write a line: all members have the same output."""
    at = time.monotonic() if at is None else at
    line = [at, os.getpid(), what, name, member_id, why, value]
    os.write(1, (json.dumps(line) + "\n").encode())


def saw(what, service):
    say(what, service.name, service.id, service.reason)


def run(name, place, options, asked):
    """One member's life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    namespace, runtime_dir = place
    enter(namespace)
    os.environ["MESHCLUSTER_RUNTIME_DIR"] = runtime_dir
    member = Member(name, options, saw)
    say("joined", name, member.cluster.uuid.split("@")[0])
    known = {each: getattr(member, each) for each in dir(member) if not each.startswith("_")}
    known |= {"time": time, "os": os}
    for line in os.fdopen(asked):
        say("reply", name, value=eval(json.loads(line), known))
    member.cluster.leave()


class Crowd:
    """The processes, by their ids the pipes by which they are asked."""

    def __init__(self, places):
        self.places = places
        self.pipes = {}

    def obey(self, first, second, *rest):
        if not rest:
            os.write(self.pipes[first], (json.dumps(second) + "\n").encode())
            return
        asked, ask = os.pipe()
        child = os.fork()
        if child:
            os.close(asked)
            self.pipes[child] = ask
            return
        for each in (*self.pipes.values(), ask):
            os.close(each)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        try:
            run(second, self.places[first], *rest, asked)
        except BaseException as error:
            say("broke", second, why=repr(error))
            os._exit(1)
        os._exit(0)


def main():
    crowd = Crowd(json.loads(sys.argv[1]))
    meshcluster.join(cluster="of its own").leave()  # imports whatever joining needs
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are to be gone at once
    print(json.dumps("ready"), flush=True)
    while line := sys.stdin.readline():
        crowd.obey(*json.loads(line))
    for each in crowd.pipes.values():
        os.close(each)
    try:
        os.wait()  # until all are gone
    except ChildProcessError:
        pass


if __name__ == "__main__":
    main()

"""Members on many hosts, forked from one process that has imported everything, so that what is
measured is how they find each other and not how Python starts.

``forked.py HOSTS``: a JSON list of [namespace, runtime directory]. It prints "ready"; the first
line it reads lets all join at once, and it prints what came of each: [when it had joined, when it
knew all others, how often it discovered each]. At the end of its input they leave.
"""

import ctypes
import json
import os
import sys
import time

from joined import Member

import meshcluster

CLONE_NEWNET = 0x40000000


def enter(namespace):
    """Moves this process to a host. (``os.setns`` is there from Python 3.12 on.)"""
    with open(f"/run/netns/{namespace}") as place:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(place.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")


def run(number, count, place, signals, results):
    """One member's life."""
    namespace, runtime_dir = place
    go, end = signals
    enter(namespace)
    os.environ["MESHCLUSTER_RUNTIME_DIR"] = runtime_dir
    os.write(results, b"\n")
    os.read(go, 1)
    member = Member(f"m{number}", {"ttl": 1})
    joined_at = time.time()
    complete_at = member.complete(count - 1)
    discoveries = sorted(member.discoveries.values())
    os.write(results, (json.dumps([joined_at, complete_at, discoveries]) + "\n").encode())
    os.read(end, 1)
    member.cluster.leave()


def main():
    places = json.loads(sys.argv[1])
    (go, let_go), (end, let_end), (results, told) = os.pipe(), os.pipe(), os.pipe()
    meshcluster.join(cluster="of its own").leave()  # imports whatever joining needs
    children = []
    for number, place in enumerate(places):
        if not (child := os.fork()):
            for each in (let_go, let_end, results):
                os.close(each)
            status = 1
            try:
                run(number, len(places), place, (go, end), told)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(told)
    lines = os.fdopen(results)
    for _ in places:
        lines.readline()
    print(json.dumps("ready"), flush=True)
    sys.stdin.readline()
    os.close(let_go)
    print(json.dumps([json.loads(lines.readline()) for _ in places]), flush=True)
    sys.stdin.read()
    os.close(let_end)
    sys.exit(any(os.waitpid(child, 0)[1] for child in children))


if __name__ == "__main__":
    main()

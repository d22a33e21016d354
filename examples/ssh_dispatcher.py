"""Asks workers ten times for their hostname: on hosts that ssh leads to, or here.

    here: python examples/ssh_dispatcher.py               (two workers of this machine)
    there: python examples/ssh_dispatcher.py box1 me@box2:2222

Hosts have meshcluster, and examples/ssh_worker.py in the home directory. (A function that needs no
worker script needs neither: docs/ssh.md.)
"""

import sys
from pathlib import Path

import meshcluster

THERE = "python3 ssh_worker.py"
HERE = [sys.executable, str(Path(__file__).with_name("ssh_worker.py"))]


def main(hosts: list[str]) -> None:
    servers = hosts or {"one": {}, "two": {}}  # without a host: processes of this machine
    with meshcluster.Dispatcher(servers, command=THERE if hosts else HERE) as dispatcher:
        futures = [dispatcher({"question": "what's your hostname?", "i": i}) for i in range(1, 11)]
        for future in futures:
            print(future.result(), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except meshcluster.NoWorkers as error:  # it says what ssh said
        sys.exit(str(error))

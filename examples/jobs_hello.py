"""Has each host say hello, all at once, and says which of them did not.

    here: python examples/jobs_hello.py               (two sites of this machine)
    there: python examples/jobs_hello.py box1 me@box2

Nothing need be installed at the hosts.
"""

import sys

import meshcluster

jobs = meshcluster.Jobs(max_parallel=20, timeout=60)


@jobs.job(roles="greeter")
async def hello(action: meshcluster.AsyncAction) -> None:
    """Asks for a name and prints it."""
    answer = await action.shell.run("uname -n")
    print(f"Hello from {action.site.name}, which calls itself {answer.stdout.strip()}", flush=True)


def main(hosts: list[str]) -> int:
    for host in hosts:
        jobs.sites.add(host, "greeter", host=host)  # as ssh knows it
    if not hosts:
        jobs.sites.add(["one", "two"], "greeter")
    result = jobs.run("hello")
    print(result.recap())
    return 0 if result else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

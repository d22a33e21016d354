"""A member of kinship, run by the Python that has it: ``kinship_member.py PRESET NAME PORT SEED``.
It prints what it sees, a line each: what and whom. It ends with its input.
"""

import sys
import threading

import kinship
from kinship.blocking import Cluster

SEEN = {"MemberJoined": "discovered", "MemberDead": "lost", "MemberSuspect": "suspect"}


def main() -> None:
    """Joins and tells."""
    preset, name, address, seed = sys.argv[1:]
    config = getattr(kinship.Config, preset)(
        name=name, bind=address, seeds=[seed] if seed != address else [],
        insecure_plaintext=True,
    )  # fmt: skip
    cluster = Cluster(config)
    events = cluster.start().events()
    known = {member.name for member in cluster.members()} - {name}
    for each in known:
        print("discovered", each, flush=True)
    threading.Thread(target=tell, args=[events], daemon=True).start()
    sys.stdin.read()
    cluster.close()


def tell(events: object) -> None:
    """What comes from now on."""
    for event in events:  # type: ignore[attr-defined]
        if what := SEEN.get(type(event).__name__):
            print(what, event.member.name, flush=True)


if __name__ == "__main__":
    main()

"""Run this in two shells: each tells of the other, and of its end (Ctrl-C, or kill -9)."""

import sys

import meshcluster

RUN_FOREVER = True

cluster = meshcluster.join(tags=sys.argv[1:] or ["service_one"])


@cluster.hook("service.lost")
def lost(service: meshcluster.Service) -> None:
    print(f"lost {service.name}", flush=True)


@cluster.hook("service.discovered")  # called for those known already, too: nobody is missed
def discovered(service: meshcluster.Service) -> None:
    print(f"discovered {service.name}, tagged {', '.join(service.tags) or 'nothing'}", flush=True)


cluster.run_forever()

"""Holds a word and gives it to whoever asks on this host. See hello_three.py."""

import meshcluster

RUN_FOREVER = True

cluster = meshcluster.Cluster()


@cluster.hook("query")
def answer(question: meshcluster.Message) -> str:
    if not question.service.local:
        raise PermissionError("only members of this host may ask")
    return "World!"


@cluster.hook("service.discovered")
def discovered(service: meshcluster.Service) -> None:
    print("discovered", service.name, flush=True)


cluster.join(tags=["word"], name="service_two")
cluster.run_forever()

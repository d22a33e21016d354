"""Members are told of on a thread of ``Cluster``, so perhaps once it has been left."""

import meshcluster
from tests.queues.test_outlets import service


def test_who_comes_and_goes_is_no_matter_to_who_has_left(own_mesh):
    cluster = meshcluster.join()
    cluster.queue("work").put(1)
    queues = cluster._cluster.queues
    cluster.leave()
    queues._found(service(1))
    queues._lost(service(1))

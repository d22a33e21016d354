"""Anonymous memory: opened only when it is what was offered, and cannot end who reads it."""

import os
import sys

import pytest

from meshcluster.protocols import memfd
from meshcluster.wire.notices import Offer

pytestmark = pytest.mark.skipif(not memfd.AVAILABLE, reason="no anonymous memory here")
if sys.platform == "linux":
    import fcntl

SIZE = memfd.RING_BYTES


@pytest.fixture
def memory():
    made = memfd.Memory()
    yield made
    made.unmap()


@pytest.fixture
def made():
    """`made(size, seals)`: a descriptor of other memory, and its offer."""
    descriptors = []

    def made(size, seals, name="meshcluster"):
        descriptor = os.memfd_create(name, os.MFD_ALLOW_SEALING)
        descriptors.append(descriptor)
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        return Offer(descriptor, size, bytes(16))

    yield made
    for descriptor in descriptors:
        os.close(descriptor)


def offer(memory, **changes):
    return Offer(memory.descriptor, SIZE, memory.token)._replace(**changes)


def test_the_other_end_sees_what_is_written(memory):
    theirs = memfd.opened(os.getpid(), offer(memory))
    memory.view[100:103] = b"abc"
    assert theirs[100:103] == b"abc"
    theirs.close()


def test_it_can_only_be_read_there(memory):
    theirs = memfd.opened(os.getpid(), offer(memory))
    with pytest.raises(TypeError):
        theirs[0] = 1
    theirs.close()


def test_it_costs_nothing_until_it_is_written_to(memory):
    pages = os.fstat(memory.descriptor).st_blocks * 512
    assert pages <= 65536  # of four megabytes


def test_nobody_can_cut_it_short(memory):
    with pytest.raises(PermissionError):
        os.ftruncate(memory.descriptor, 0)


@pytest.mark.parametrize(
    "changes",
    [{"token": bytes(16)}, {"size": SIZE - 4096}, {"size": SIZE + 4096}, {"size": 0},
     {"size": memfd.MOST_BYTES + 4096}, {"descriptor": 2**31}],
)  # fmt: skip
def test_what_is_not_as_it_was_offered_is_not_opened(memory, changes):
    assert memfd.opened(os.getpid(), offer(memory, **changes)) is None


def test_other_files_are_not_opened(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (os.devnull, fifo):
        descriptor = os.open(path, os.O_RDWR)
        assert memfd.opened(os.getpid(), Offer(descriptor, SIZE, bytes(16))) is None
        os.close(descriptor)


def test_memory_that_could_be_cut_short_is_not_opened(made):
    assert memfd.opened(os.getpid(), made(SIZE, 0)) is None
    assert memfd.opened(os.getpid(), made(SIZE, fcntl.F_SEAL_GROW)) is None


def test_memory_that_could_be_of_huge_pages_is_not_opened(made):
    seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
    assert memfd.opened(os.getpid(), made(2 * 1024 * 1024, seals)) is None
    fit = memfd.opened(os.getpid(), made(SIZE, seals))
    fit.close()


def test_a_process_that_is_not_there_offers_nothing(memory):
    assert memfd.opened(2**22 + 1, offer(memory)) is None

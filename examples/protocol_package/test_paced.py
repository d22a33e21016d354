"""The package's own tests: what every protocol and every announcer promises."""

from meshcluster.testing.announcers import AnnouncerContract
from meshcluster.testing.contract import ProtocolContract


class TestPaced(ProtocolContract):
    scheme = "paced"
    options = {"bytes_a_second": 50_000_000}  # noqa: RUF012 - as the contract has it


class TestShelf(AnnouncerContract):
    name = "shelf"
    hints = True

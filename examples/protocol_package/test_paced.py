"""The package's own tests: what every protocol promises."""

from meshcluster.testing.contract import ProtocolContract


class TestPaced(ProtocolContract):
    scheme = "paced"
    options = {"bytes_a_second": 50_000_000}  # noqa: RUF012 - as the contract has it

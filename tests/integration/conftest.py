"""Workers behind ssh, for the tests that want some."""

from tests.ssh.ways import far, took, way

__all__ = ("far", "took", "way")

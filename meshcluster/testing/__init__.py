"""The test kit: simulate meshes of your own, with faults, from one seed."""

from .network import Network
from .simulation import Simulation, SimulationFailed
from .virtual import VirtualMember

__all__ = ("Network", "Simulation", "SimulationFailed", "VirtualMember")

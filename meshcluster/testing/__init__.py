"""The test kit: simulate meshes of your own, with faults, from one seed."""

from .bench import Bench, carry, connect, introduce, pass_time
from .network import Network
from .simulation import Simulation, SimulationFailed
from .virtual import VirtualMember

__all__ = (
    "Bench",
    "Network",
    "Simulation",
    "SimulationFailed",
    "VirtualMember",
    "carry",
    "connect",
    "introduce",
    "pass_time",
)

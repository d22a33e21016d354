"""One member's whole behaviour, without I/O, clock, tasks or randomness of its own.

Time is an argument, randomness is injected, what should happen comes out as effects.
"""

__all__ = ()

"""A machine in memory, with a clock that only the test moves, together with the machines it runs as its children.

A rehearsal runs the same turns as the host, and reads the machine from JSON before each of them. It is quick. It does not
prove durability: that takes a real server and a `kill -9`.
"""

from durable_fsm.testing.rehearsal.facade import Rehearsal

__all__ = ["Rehearsal"]

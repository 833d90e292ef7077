"""Explore every state of a chart: the properties and domains of proofs files.

`durable-fsm explore` and the pytest fixture `explored` make every move that a machine can make, until nothing new is found.
"""

from durable_fsm.explore.domains import domain
from durable_fsm.explore.properties import always, by_itself, can_always, never, sometimes

__all__ = ["always", "by_itself", "can_always", "domain", "never", "sometimes"]

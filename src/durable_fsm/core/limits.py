"""Limits: how many runs are under way at once, and which of those that wait comes next."""

from __future__ import annotations

from dataclasses import dataclass

from durable_fsm.core.address import fault_in_key
from durable_fsm.core.calls import checked_type

MOST_URGENT, LEAST_URGENT = -(2**53), 2**53
"""Bounds of a priority: every JSON reader keeps such numbers exact."""

GRANTED = "granted.invoke."
"""The beginning of the event that a machine hears when its activity gets a slot: `granted.invoke.<id>`."""


@checked_type
@dataclass(frozen=True, slots=True)
class Limit:
    """A number of *slots* under a *name*. Activities of any charts that name the same limit share its slots.

    A run that finds no free slot waits. The next free slot goes to the run with the lowest priority number, among equals
    to the one that has waited longest.
    """

    name: str
    slots: int

    def __post_init__(self) -> None:
        """Refuse what cannot be a key of Restate, and what would let nothing run.

        Raises:
            ValueError: *name* is empty or too long, or *slots* is less than 1.
        """
        if not self.name:
            raise ValueError("a limit needs a name, by which its activities share it")
        if (fault := fault_in_key(self.name)) is not None:
            raise ValueError(f"the name of a limit is a key of Restate: {fault}")
        if self.slots < 1:
            raise ValueError(f"Limit('{self.name}', {self.slots}) would let nothing run; use 1 or more")


def checked_priority(value: object) -> int:
    """The value, if it is a priority.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is too large a number.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a priority is a whole number, and this is a {type(value).__name__}: {value!r:.80}")
    if not MOST_URGENT <= value <= LEAST_URGENT:
        raise ValueError(f"a priority is between -2**53 and 2**53, and this is {value}")
    return value

"""Errors that the author of a chart can fix: in the definition, or in a callback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from durable_fsm.errors.base import DurableFSMError, quoted


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a definition: what, what to do about it, and where it was written.

    `place` is `file:line` where the front-end knows it, otherwise empty.
    """

    what: str
    remedy: str
    place: str = ""

    def __str__(self) -> str:
        sentence = f"{self.what} {self.remedy}" if self.remedy else self.what
        return f"{sentence} ({self.place})" if self.place else sentence


class DefinitionError(DurableFSMError):
    """A definition cannot become a chart. Raised at import, with every problem found."""

    def __init__(self, *, chart: str, problems: Iterable[Problem]) -> None:
        super().__init__(chart=chart)
        self.problems = tuple(problems)

    @property
    def what(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        return "\n".join([f"{len(lines)} problems.", *lines])


class DefinitionWarning(UserWarning):
    """A definition that can run, and hardly does what its author wants."""


class NotDurable(DefinitionError):
    """The definition is valid in its own library, but cannot be hosted durably."""


class ActionError(DurableFSMError):
    """A callback raised, and no transition took `error.execution`. The original is `__cause__`."""

    def __init__(self, *, chart: str, event: str, callback: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.callback = callback
        self.problem = problem

    @property
    def what(self) -> str:
        return (
            f"{self.callback} failed while '{self.event}' was taken: {self.problem} The machine has not moved."
            " Mend the callback, or give the chart a transition for 'error.execution'."
        )


class UnknownWork(DurableFSMError):
    """A callback starts work that its chart does not declare."""

    def __init__(self, *, chart: str, work: str, known: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.work = work
        self.known = tuple(known)

    @property
    def what(self) -> str:
        declares = f"It declares: {quoted(self.known)}." if self.known else "It declares none: @durable(work=[...])."
        close = difflib.get_close_matches(self.work, self.known, n=1)
        return f"there is no work '{self.work}' to start. {declares}" + (
            f" Did you mean '{close[0]}'?" if close else ""
        )

"""Errors that the author of a chart can fix: in the definition, or in a callback."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from durable_fsm.errors.base import DurableFSMError, quoted


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a definition: what it is, how to fix it, and where it was written.

    `place` is `file:line` where the front-end knows it, otherwise empty.
    """

    what: str
    remedy: str
    place: str = ""

    def __str__(self) -> str:
        sentence = f"{self.what} {self.remedy}" if self.remedy else self.what
        return f"{sentence} ({self.place})" if self.place else sentence


@dataclass(kw_only=True, eq=False, repr=False)
class DefinitionError(DurableFSMError):
    """A definition cannot become a chart. Raised at import, with every problem found.

    Remedy: fix each problem that the message lists; `durable-fsm check` shows them all without a server.
    """

    problems: tuple[Problem, ...]

    @property
    def what(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        return "\n".join([f"{len(lines)} problems.", *lines])


class DefinitionWarning(UserWarning):
    """A definition can run, but probably does not do what its author wants."""


@dataclass(kw_only=True, eq=False, repr=False)
class NotDurable(DefinitionError):
    """The definition is valid in its own library, but cannot be hosted durably.

    Remedy: replace the construct as the message says: a sleep becomes `after(...)`, outside work an `activity(...)`.
    """


@dataclass(kw_only=True, eq=False, repr=False)
class ActionError(DurableFSMError):
    """A callback raised, and no transition took `error.execution`. The original is `__cause__`.

    `configuration` has the states that were active then and have no such transition; it is empty where none would help.

    Remedy: fix the callback and deploy again; or give the state a transition for `error.execution`.
    """

    event: str
    callback: str
    problem: str
    configuration: tuple[str, ...] = ()
    remedy: str | None = None

    @property
    def what(self) -> str:
        failed = f"{self.callback} failed while processing '{self.event}': {self.problem} The machine has not changed."
        if self.configuration:
            states = quoted(self.configuration)
            return f"{failed} Fix the callback, or give {states} a transition for 'error.execution'."
        return f"{failed} {self.remedy or 'Correct the chart.'}"


@dataclass(kw_only=True, eq=False, repr=False)
class UnknownWork(DurableFSMError):
    """A callback starts work that its chart does not declare.

    Remedy: declare the work with `@durable(work=[...])`, or correct the id in `effects.start(...)`.
    """

    work: str
    known: tuple[str, ...]

    @property
    def what(self) -> str:
        declares = f"It declares: {quoted(self.known)}." if self.known else "It declares none: @durable(work=[...])."
        close = difflib.get_close_matches(self.work, self.known, n=1)
        return f"there is no work '{self.work}' to start. {declares}" + (
            f" Did you mean '{close[0]}'?" if close else ""
        )

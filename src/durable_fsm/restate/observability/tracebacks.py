"""Exceptions of an author's code as the log shows them: from the author's first line on, and each of them once a minute."""

from __future__ import annotations

import time
from collections import OrderedDict
from types import TracebackType
from typing import NamedTuple

from durable_fsm.core.author_code import named
from durable_fsm.core.values import Misfit, TypeRaised
from durable_fsm.errors import ActionError, DurableFSMError, EventError, Undecodable
from durable_fsm.restate.observability.places import is_ours, place_of

QUIET_SECONDS = 60.0
"""How long the same failure is only counted after it was logged."""

LONGEST = 1_000
"""Most characters of an exception's words in a message; its traceback has all of them."""

REMEMBERED = 1_000
"""How many different failures are remembered."""

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class AuthorFailure(NamedTuple):
    """An exception of an author's code, and which code it was: `open_door, in 'push'`."""

    error: BaseException
    where: str

    @classmethod
    def of(cls, error: BaseException | None, where: str = "") -> AuthorFailure | None:
        """The exception behind one of ours; None if there is none, or if it is a way to refuse an event."""
        while isinstance(error, DurableFSMError | TypeRaised) and error.__cause__ is not None:
            if isinstance(error, EventError) and not isinstance(error, Undecodable):
                return None
            where = where or _where(error)
            error = error.__cause__
        if error is None or isinstance(error, DurableFSMError | Misfit) or not place_of(error):
            return None
        return cls(error, where)

    @property
    def words(self) -> str:
        return f"{self.where or 'code'} raised {named(self.error)[:LONGEST]} ({place_of(self.error)})"

    @property
    def kind(self) -> tuple[str, ...]:
        """Failures with the same kind are the same failure."""
        return self.where, type(self.error).__name__, place_of(self.error)

    @property
    def exc_info(self) -> ExceptionInfo:
        """For a log record: the traceback begins with the author's first line."""
        return type(self.error), self.error, from_author(self.error)


def _where(error: BaseException) -> str:
    if isinstance(error, ActionError):
        return f"{error.callback}, in '{error.event}',"
    if isinstance(error, Undecodable):
        return f"the decoder of {error.source}"
    return ""


def from_author(error: BaseException) -> TracebackType | None:
    """The traceback of an exception without the calls that lead to the author's code."""
    at = error.__traceback__
    while at is not None and is_ours(at.tb_frame.f_code):
        at = at.tb_next
    return at or error.__traceback__


class RecentFailures:
    """The failures that were logged, and how often each has happened since."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ...], tuple[float, int]] = OrderedDict()

    def admit(self, kind: tuple[str, ...]) -> int | None:
        """How often this failure was left out since it was last logged; None if it is to be left out again."""
        now = time.monotonic()
        logged, left_out = self._known.get(kind, (-QUIET_SECONDS, 0))
        if now - logged < QUIET_SECONDS:
            self._known[kind] = logged, left_out + 1
            return None
        self._known[kind] = now, 0
        self._known.move_to_end(kind)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return left_out


recent = RecentFailures()

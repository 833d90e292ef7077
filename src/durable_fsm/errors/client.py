"""Errors of a call that no machine has answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from durable_fsm.errors.base import DurableFSMError


@dataclass(kw_only=True, eq=False, repr=False)
class CallError(DurableFSMError):
    """No machine has answered the call. Whether the machine has moved is not known."""


@dataclass(kw_only=True, eq=False, repr=False)
class NoAnswer(CallError):
    """No answer came in `attempts` attempts within the client's patience; `waited` is how long it tried."""

    url: str
    attempts: int
    waited: timedelta
    problem: str

    @property
    def what(self) -> str:
        often = "once" if self.attempts == 1 else f"{self.attempts} times"
        return (
            f"no answer from {self.url}, asked {often} within {self.waited.total_seconds():g} s: {self.problem}."
            " Whether the machine has moved is not known: call again with the same idempotency key when the server can be reached."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class UnexpectedAnswer(CallError):
    """The answer does not come from a machine of ours, or from another version of one; `text` is what it says."""

    status: int
    text: str
    remedy: str = ""

    @property
    def what(self) -> str:
        return f"the call was answered with status {self.status}: {self.text}" + (
            f" {self.remedy}" if self.remedy else ""
        )

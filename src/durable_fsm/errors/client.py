"""Errors of a call that no machine has answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from durable_fsm.errors.base import DurableFSMError


@dataclass(kw_only=True, eq=False, repr=False)
class CallError(DurableFSMError):
    """No machine has answered the call. If the call was to change it, whether it has moved is not known."""


@dataclass(kw_only=True, eq=False, repr=False)
class NoAnswer(CallError):
    """No answer came within the client's patience: `attempts` is how often it tried, `waited` how long.

    A call that only `reads` has changed nothing; nor has one that was never `sent`, because no server could be reached.

    Remedy: start the server, or correct the URL; then repeat the call with the same idempotency key.
    """

    url: str
    attempts: int
    waited: timedelta
    problem: str
    reads: bool = False
    sent: bool = True

    @property
    def what(self) -> str:
        often = "once" if self.attempts == 1 else f"{self.attempts} times within {self.waited.total_seconds():g} s"
        tried = f"asked {often}: {self.problem}."
        if not self.sent:
            return (
                f"no Restate server at {self.url}, {tried} Nothing was sent. Is `durable-fsm dev` running, or another"
                " server? Name it if it is elsewhere."
            )
        if self.reads:
            return (
                f"the service of {self.chart} has not answered through {self.url}, {tried} Is it running, and registered"
                " where it runs? `durable-fsm doctor` says what is down."
            )
        return (
            f"no answer from {self.url}, {tried}"
            " It is not known whether the machine has changed. Call again with the same idempotency key when the server can be reached."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class UnexpectedAnswer(CallError):
    """The answer does not come from a machine of ours, or from another version of one; `text` is what it says.

    Remedy: check that the URL is that of Restate's ingress, and that the service is registered: `durable-fsm doctor`.
    """

    status: int
    text: str
    remedy: str = ""

    @property
    def what(self) -> str:
        return f"the call was answered with status {self.status}: {self.text}" + (
            f" {self.remedy}" if self.remedy else ""
        )

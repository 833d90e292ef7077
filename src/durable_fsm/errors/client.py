"""Errors of a call that no machine has answered."""

from __future__ import annotations

from datetime import timedelta

from durable_fsm.errors.base import DurableFSMError


class CallError(DurableFSMError):
    """A call to a machine was not answered by it. Whether the machine has moved is not known."""


class NoAnswer(CallError):
    """Nobody has answered a call for as long as the client was patient, `waited`, after so many attempts."""

    def __init__(
        self, *, chart: str, url: str, attempts: int, waited: timedelta, problem: str, key: str | None = None
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.url = url
        self.attempts = attempts
        self.waited = waited
        self.problem = problem

    @property
    def what(self) -> str:
        often = "once" if self.attempts == 1 else f"{self.attempts} times"
        return (
            f"no answer from {self.url}, asked {often} within {self.waited.total_seconds():g} s: {self.problem}."
            " Whether the machine has moved is not known: call again with the same idempotency key, when it can be reached."
        )


class UnexpectedAnswer(CallError):
    """A call was answered by something that is no machine of ours, or of another version; `text` is what it said."""

    def __init__(self, *, chart: str, status: int, text: str, remedy: str = "", key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.status = status
        self.text = text
        self.remedy = remedy

    @property
    def what(self) -> str:
        return f"the call was answered with status {self.status}: {self.text}" + (
            f" {self.remedy}" if self.remedy else ""
        )

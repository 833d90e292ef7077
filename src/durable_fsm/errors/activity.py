"""Errors that activities raise when another attempt would not help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from durable_fsm.errors.base import DurableFSMError


@dataclass(kw_only=True, eq=False, repr=False)
class TerminalError(DurableFSMError):
    """Raise this in an activity when another attempt would not help; its outcome is then `error.invoke.<id>`.

    `code` and `metadata` reach the chart with the error; `metadata` must be plain JSON.

    Remedy: give the state a transition for `error.invoke.<id>`: the chart decides what follows a failure.
    """

    chart: str = field(default_factory=str, init=False)  # unknown to an activity, and sent as ""
    key: str | None = field(default=None, init=False)
    message: str = field(kw_only=False)
    code: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def what(self) -> str:
        return self.message

    def __str__(self) -> str:
        return self.message


@dataclass(kw_only=True, eq=False, repr=False)
class CallbackTimeout(TerminalError):
    """No answer to a callback came in time.

    Remedy: give the state a transition for `error.invoke.<id>`; or raise `ctx.callback(..., timeout=...)`.
    """

    message: str = field(init=False)
    metadata: Mapping[str, object] = field(init=False)
    callback: str
    after: timedelta

    def __post_init__(self) -> None:
        self.message = f"callback '{self.callback}' was not answered within {self.after}."
        self.metadata = {"callback": self.callback}


@dataclass(kw_only=True, eq=False, repr=False)
class CallbackRejected(TerminalError):
    """A callback was rejected from outside; `reason` is the text that came with it.

    Remedy: give the state a transition for `error.invoke.<id>`; the reason is in the error.
    """

    message: str = field(init=False)
    metadata: Mapping[str, object] = field(init=False)
    callback: str
    reason: str

    def __post_init__(self) -> None:
        self.message = f"callback '{self.callback}' was rejected: {self.reason}"
        self.metadata = {"callback": self.callback}


@dataclass(kw_only=True, eq=False, repr=False)
class CallbackUnreadable(TerminalError):
    """The answer to a callback is not JSON, or is longer than an activity takes.

    Remedy: let the other side answer with JSON, and with a reference instead of large content.
    """

    message: str = field(init=False)
    metadata: Mapping[str, object] = field(init=False)
    callback: str
    problem: str

    def __post_init__(self) -> None:
        self.message = f"the answer to callback '{self.callback}' cannot be read: {self.problem}"
        self.metadata = {"callback": self.callback}

"""Errors that activities raise when another attempt would not help."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from durable_fsm.errors.base import DurableFSMError


class TerminalError(DurableFSMError):
    """Raise this in an activity when trying again would not help; its outcome is then `error.invoke.<id>`.

    `code` and `metadata` reach the chart with the error; `metadata` must be plain JSON.
    """

    def __init__(self, message: str, *, code: int | None = None, metadata: Mapping[str, object] | None = None) -> None:
        super().__init__(chart="")
        self.message = message
        self.code = code
        self.metadata = dict(metadata or {})

    @property
    def what(self) -> str:
        return self.message

    def __str__(self) -> str:
        return self.message


class CallbackTimeout(TerminalError):
    """Nobody has answered a callback in time."""

    def __init__(self, *, callback: str, after: timedelta) -> None:
        super().__init__(f"callback '{callback}' was not answered within {after}.", metadata={"callback": callback})
        self.callback = callback
        self.after = after


class CallbackRejected(TerminalError):
    """Somebody outside has rejected a callback; `reason` is what they wrote."""

    def __init__(self, *, callback: str, reason: str, code: int | None = None) -> None:
        super().__init__(f"callback '{callback}' was rejected: {reason}", code=code, metadata={"callback": callback})
        self.callback = callback
        self.reason = reason


class CallbackUnreadable(TerminalError):
    """A callback was answered by what is no JSON, or more of it than an activity takes."""

    def __init__(self, *, callback: str, problem: str) -> None:
        message = f"the answer to callback '{callback}' cannot be read: {problem}"
        super().__init__(message, metadata={"callback": callback})
        self.callback = callback
        self.problem = problem

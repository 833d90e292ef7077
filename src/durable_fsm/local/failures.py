"""Errors of the local tools. A machine never answers with one of them, so none belongs to `durable_fsm.errors`.

    HarnessError (RuntimeError)
    ├── NativeServerError      there is no server binary; says how to get one
    ├── ProcessFailed          a process did not start, died, or survived its kill; contains the end of its log
    └── AdminError             Restate's admin API refused a request
    NotObserved (AssertionError)   the test waited for something that did not happen; says what was seen last

A `HarnessError` says nothing about the code under test; `NotObserved` means that it failed.
"""

from __future__ import annotations

__all__ = ["AdminError", "HarnessError", "NativeServerError", "NotObserved", "ProcessFailed"]


class HarnessError(RuntimeError):
    """The tools failed; this says nothing about the code under test."""


class NativeServerError(HarnessError):
    """There is no native Restate server, and none can be installed. The message says what to do."""


class ProcessFailed(HarnessError):
    """A process did not start, died too early, or survived its kill.

    `log_tail` contains the last lines of its log; the message shows them.
    """

    def __init__(self, *, name: str, problem: str, log_tail: str = "") -> None:
        self.name = name
        self.problem = problem
        self.log_tail = log_tail
        shown = f"\n--- last lines of {name}'s log ---\n{log_tail}" if log_tail else ""
        super().__init__(f"{name}: {problem}{shown}")


class AdminError(HarnessError):
    """Restate's admin API refused a request. `status` and `body` are those of the answer."""

    def __init__(self, *, request: str, status: int, body: str) -> None:
        self.request = request
        self.status = status
        self.body = body
        super().__init__(f"{request}: Restate answered {status}: {body}")


class NotObserved(AssertionError):
    """The test waited, and what it waited for did not happen in time."""

"""What the testing tools raise. None of these is an answer of a machine, so none belongs to `durable_fsm.errors`.

    HarnessError (RuntimeError)
    ├── NativeServerError      no server binary can be had; says how to get one
    ├── ProcessFailed          a process did not start, died, or outlived its kill; carries the tail of its log
    └── AdminError             Restate's admin API refused a request
    NotObserved (AssertionError)   what the test waited for did not come about; says what was seen last

The first kind means that the code under test has not been judged; the second is a judgement.
"""

from __future__ import annotations

__all__ = ["AdminError", "HarnessError", "NativeServerError", "NotObserved", "ProcessFailed"]


class HarnessError(RuntimeError):
    """The testing tools could not do their part; the code under test has not been judged."""


class NativeServerError(HarnessError):
    """No native Restate server can be had here. The message says what to do."""


class ProcessFailed(HarnessError):
    """A process of the harness did not start, died before its time, or survived its end.

    `log_tail` holds the last lines it wrote; the message shows them.
    """

    def __init__(self, *, name: str, problem: str, log_tail: str = "") -> None:
        self.name = name
        self.problem = problem
        self.log_tail = log_tail
        shown = f"\n--- last lines of {name}'s log ---\n{log_tail}" if log_tail else ""
        super().__init__(f"{name}: {problem}{shown}")


class AdminError(HarnessError):
    """Restate's admin API refused a request. `status` is its HTTP status, `body` what it answered."""

    def __init__(self, *, request: str, status: int, body: str) -> None:
        self.request = request
        self.status = status
        self.body = body
        super().__init__(f"{request}: Restate answered {status}: {body}")


class NotObserved(AssertionError):
    """What the test waited for did not come about in time."""

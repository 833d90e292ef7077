"""Errors at the edge of the host: their HTTP status, and how they become Restate's.

Inside the host an error stays the exception that it is. The wrapper of every handler (`registration`) makes a
`TerminalError` of it, once, because to retry it would change nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

from restate import TerminalError as RestateTerminalError
from restate.exceptions import RetryableError, SdkInternalBaseException
from restate.server_context import DisconnectedException
from restate.vm import VMException  # type: ignore[attr-defined]  # pyright: ignore[reportUnknownVariableType]  # untyped

from durable_fsm import errors
from durable_fsm.core.codec import canonical, plain
from durable_fsm.errors.statuses import http_status
from durable_fsm.restate.observability.logging import log
from durable_fsm.restate.observability.redaction import clean
from durable_fsm.restate.observability.texts import said, writable

UNMOVED = (
    errors.ActionError,
    errors.MigrationError,
    errors.SnapshotUnreadable,
    errors.VersionError,
    errors.Paused,
)
"""Errors after which the same request may be accepted: by a corrected build, or when the machine is resumed."""

KEPT = "With an idempotency key this answer is kept for a day: after the correction, send the request with another key."

# These may rise where the host awaits or calls Restate's context, and must reach the SDK unchanged:
# - TerminalError: a journaled failure, or this invocation was cancelled;
# - RetryableError: the host asks for another attempt, see `machine.transaction`;
# - DisconnectedException: the connection to Restate is gone, another attempt follows;
# - VMException: the journal does not fit what the code does, for example after a redeployment;
# - SdkInternalBaseException: the invocation is suspended, or its attempt ends early. No `except Exception` sees it.
JOURNAL_ERRORS = (DisconnectedException, cast("type[Exception]", VMException))
PLATFORM_ERRORS = (RestateTerminalError, RetryableError, *JOURNAL_ERRORS)
"""Exceptions of Restate's SDK, which nothing of ours may translate."""

ENDS_ATTEMPT = (SdkInternalBaseException, *JOURNAL_ERRORS)
"""Restate's context raises one of these when the attempt is over: another one follows, after a suspension or a failure."""


def ends_attempt(error: BaseException) -> bool:
    """Whether Restate or the event loop ends this attempt: nothing of ours, nor an author's code, may stop that.

    An author's coroutine can raise a CancelledError of its own, for example of a task that it awaits. The task that runs
    the coroutine is not being cancelled then.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, ENDS_ATTEMPT)


@dataclass(kw_only=True, eq=False, repr=False)
class InternalError(errors.DurableFSMError):
    """The code of the host or of the chart's types raised something unexpected."""

    exception: str

    @property
    def what(self) -> str:
        return f"an internal error ({self.exception}). The machine has not changed; see the log."


def located(error: BaseException, chart: str, key: str) -> errors.DurableFSMError:
    """Give an error its place. An unexpected exception is logged, and becomes an `InternalError`."""
    if isinstance(error, errors.DurableFSMError):
        error.key = error.key or key
        return error
    name = type(error).__name__
    log.exception("%s/%s: unexpected %s", chart, key, name, exc_info=error)
    return InternalError(chart=chart, key=key, exception=name)


class Located:
    """A block whose exceptions are handled right behind it: each becomes one of ours; Restate's own pass."""

    __slots__ = ("chart", "key")

    def __init__(self, chart: str, key: str) -> None:
        self.chart = chart
        self.key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, PLATFORM_ERRORS):
            ours = located(error, self.chart, self.key)
            if ours is not error:
                raise ours from error


def terminal(error: errors.DurableFSMError) -> RestateTerminalError:
    """The error as Restate carries it: its message, its status, and its facts as metadata.

    A fact that is not a string becomes a JSON text.
    """
    facts = {name: value for name, value in vars(error).items() if value is not None and not name.startswith("_")}
    texts = {name: said(value) if isinstance(value, str) else canonical(plain(value)) for name, value in facts.items()}
    metadata = {"type": type(error).__name__, **{name: clean(writable(text)) for name, text in texts.items()}}
    message = f"{message_of(error)} {KEPT}" if isinstance(error, UNMOVED) else message_of(error)
    return RestateTerminalError(message, http_status(error), metadata=metadata)


def message_of(error: errors.DurableFSMError) -> str:
    """The message of an error, as it may be shown."""
    return said(str(error))

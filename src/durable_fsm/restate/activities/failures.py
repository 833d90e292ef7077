"""What activities leave behind, in a form that can be stored whatever their authors put into it."""

from __future__ import annotations

from restate import TerminalError as RestateTerminalError

from durable_fsm.core.codec import plain
from durable_fsm.core.events import Failure
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import MAX_INPUT, MAX_MESSAGE, writable

CANCELLED = 409
"""Status of Restate's own error in an invocation that is being cancelled."""


class ItemFailed(Exception):
    """An item of a fan-out has failed for good, and so has the whole; the failure says which."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Failed(TerminalError):
    """A step failed for good; carries the failure as the chart will see it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, code=failure.code)
        self.failure = failure


def is_cancellation(error: RestateTerminalError) -> bool:
    """Whether this is the platform's word that the invocation is cancelled; it comes once."""
    return error.message == "cancelled" and error.status_code == CANCELLED


def cancellation() -> RestateTerminalError:
    """What the platform raises in an invocation that is cancelled."""
    return RestateTerminalError("cancelled", CANCELLED)


def sendable(result: object, limit: int) -> Json:
    """What an activity or a step returned, as plain JSON of at most *limit* bytes.

    Whatever else reached the journal would be tried again for ever by the platform.

    Raises:
        TerminalError: it has no such form.
    """
    try:
        value = plain(result)
        size = len(dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalError(f"the result cannot be written as JSON: {error}.") from error
    if size > limit:
        raise TerminalError(
            f"the result has {size} bytes; at most {limit} are taken. Return a reference to it instead."
        )
    return value


def failure_of(error: Exception) -> Failure:
    """An exception as the chart sees it, in a form that can be stored whatever the author put into it."""
    if isinstance(error, Failed | ItemFailed):
        return error.failure
    name = type(error).__name__
    if isinstance(error, RestateTerminalError) and error.message in ("cancelled", "killed"):
        return Failure(error.message, f"the activity was {error.message}.", error.status_code)
    if isinstance(error, TerminalError):
        return Failure(name, _words_of(error), error.code, _facts_of(error))
    if isinstance(error, RestateTerminalError):
        return Failure(name, _words_of(error), error.status_code, _facts_of(error))
    return Failure(name, _words_of(error))


def _words_of(error: Exception) -> str:
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - its author's code too
        words = ""
    return writable(words[:MAX_MESSAGE]) or type(error).__name__


def _facts_of(error: TerminalError | RestateTerminalError) -> Json:
    try:
        return sendable(error.metadata, MAX_INPUT) or None
    except TerminalError:
        return None

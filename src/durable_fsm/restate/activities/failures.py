"""Failures of activities, in a form that can be stored whatever their authors put into them."""

from __future__ import annotations

from restate import TerminalError as RestateTerminalError

from durable_fsm.core.author_code import metadata_of, words_of
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError, TooLarge
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import MAX_INPUT
from durable_fsm.restate.observability.places import place_of
from durable_fsm.restate.observability.texts import MAX_MESSAGE, writable

CANCELLED = 409
"""Status of Restate's own error in an invocation that is being cancelled."""


MOST_CODE = 2**31


class ItemFailed(Exception):
    """An item of a fan-out has failed for good, and the fan-out with it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Failed(TerminalError):
    """A step failed for good; carries the failure as the chart will see it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message, code=failure.code)
        self.failure = failure


def is_cancellation(error: RestateTerminalError) -> bool:
    """Whether Restate raised the error because the invocation is cancelled. It does so once."""
    return error.message == "cancelled" and error.status_code == CANCELLED


def cancellation() -> RestateTerminalError:
    """The error that Restate raises in a cancelled invocation."""
    return RestateTerminalError("cancelled", CANCELLED)


def interruption(what: str, error: RestateTerminalError, *, lost: str = "was lost.") -> Failure:
    """How work failed whose invocation brought no outcome: an operator cancelled or killed it, or else it was *lost*."""
    if error.message in ("cancelled", "killed"):
        return Failure(error.message, f"{what} was {error.message}.", error.status_code)
    return Failure("lost", f"{what} {lost}", error.status_code)


def interrupted(call: StartActivity, error: RestateTerminalError) -> Event:
    """The event by which a machine learns that the call of an activity brought no outcome."""
    failure = interruption(f"activity '{call.id}'", error, lost=f"could not be called: {error.message}")
    return Event(f"error.invoke.{call.id}", failure, Origin.PLATFORM, token=call.token)


def not_called(call: StartActivity, error: TooLarge) -> Event:
    """The event by which a machine learns that an activity could not be called, because its input is too long."""
    return Event(f"error.invoke.{call.id}", Failure("TooLarge", error.what, 413), Origin.PLATFORM, token=call.token)


def sendable(result: object, limit: int) -> Json:
    """Turn what an activity or a step returned into plain JSON of at most *limit* bytes.

    Raises:
        TerminalError: it has no such form. Restate would retry an entry that cannot be written for ever.
    """
    try:
        value = plain(result)
        size = len(dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalError(f"the result cannot be written as JSON: {error}.") from error
    if size > limit:
        raise TerminalError(
            f"the result has {size} bytes; at most {limit} are allowed. Return a reference to it instead."
        )
    return value


def failure_of(error: BaseException) -> Failure:
    """The failure that the chart sees for an exception of an author's code."""
    if isinstance(error, Failed | ItemFailed):
        return error.failure
    message = writable(words_of(error)[:MAX_MESSAGE]) or type(error).__name__
    if isinstance(error, RestateTerminalError) and message in ("cancelled", "killed"):
        return Failure(message, f"the activity was {message}.", _code_of(error, "status_code"))
    if isinstance(error, TerminalError | RestateTerminalError):
        code = _code_of(error, "code" if isinstance(error, TerminalError) else "status_code")
        return Failure(type(error).__name__, message, code, _metadata_of(error), place=place_of(error))
    return Failure(type(error).__name__, message, place=place_of(error))


# An author may have made the exception, with members of any type, or without them.


def _code_of(error: BaseException, name: str) -> int | None:
    code = getattr(error, name, None)
    return code if type(code) is int and abs(code) < MOST_CODE else None


def _metadata_of(error: BaseException) -> Json:
    try:
        return sendable(metadata_of(error), MAX_INPUT) or None
    except TerminalError:
        return None

"""Failures of activities, in a form that can be stored whatever their authors put into them."""

from __future__ import annotations

from restate import TerminalError as RestateTerminalError

from durable_fsm.core.codec import plain
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.errors import MAX_MESSAGE, writable
from durable_fsm.restate.http.requests import MAX_INPUT
from durable_fsm.restate.observability.places import place_of

CANCELLED = 409
"""Status of Restate's own error in an invocation that is being cancelled."""


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
            f"the result has {size} bytes; at most {limit} are taken. Return a reference to it instead."
        )
    return value


def failure_of(error: Exception) -> Failure:
    """The failure that the chart sees for an exception of an author's code."""
    if isinstance(error, Failed | ItemFailed):
        return error.failure
    if isinstance(error, RestateTerminalError) and error.message in ("cancelled", "killed"):
        return interruption("the activity", error)
    name, message, place = type(error).__name__, _message_of(error), place_of(error)
    if isinstance(error, TerminalError):
        return Failure(name, message, error.code, _metadata_of(error), place=place)
    if isinstance(error, RestateTerminalError):
        return Failure(name, message, error.status_code, _metadata_of(error), place=place)
    return Failure(name, message, place=place)


def _message_of(error: Exception) -> str:
    try:
        words = str(error)
    except Exception:  # noqa: BLE001 - __str__ is the author's code too
        words = ""
    return writable(words[:MAX_MESSAGE]) or type(error).__name__


def _metadata_of(error: TerminalError | RestateTerminalError) -> Json:
    try:
        return sendable(error.metadata, MAX_INPUT) or None
    except TerminalError:
        return None

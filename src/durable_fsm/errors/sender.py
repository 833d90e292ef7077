"""Errors that the sender of an event can fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from durable_fsm.errors.base import DurableFSMError, quoted


class EventError(DurableFSMError):
    """The sender can mend this. The machine has not moved."""


class MalformedInput(EventError):
    """The request is not what the handler reads: no JSON, or not the object it expects."""

    def __init__(self, *, chart: str, handler: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.handler = handler
        self.problem = problem

    @property
    def what(self) -> str:
        return f"the input of '{self.handler}' cannot be read: {self.problem}"


class Forbidden(EventError):
    """The event belongs to the machine itself (a timer, an outcome); nobody else may send it."""

    def __init__(self, *, chart: str, event: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event

    @property
    def what(self) -> str:
        return f"event '{self.event}' is private: only the machine itself sends it. Declare it public=True to open it."


class UnknownEvent(EventError):
    """The chart declares no such event."""

    def __init__(self, *, chart: str, event: str, known: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.known = tuple(known)

    @property
    def what(self) -> str:
        knows = f" It knows: {quoted(self.known)}." if self.known else " It declares no public event."
        close = difflib.get_close_matches(self.event, self.known, n=1)
        return f"there is no event '{self.event}'.{knows}" + (f" Did you mean '{close[0]}'?" if close else "")


class EventRejected(EventError):
    """No transition takes the event where the machine is now."""

    def __init__(
        self,
        *,
        chart: str,
        event: str,
        configuration: Iterable[str],
        accepted: Iterable[str],
        reason: str = "",
        key: str | None = None,
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.configuration = tuple(configuration)
        self.accepted = tuple(accepted)
        self.reason = reason

    @property
    def what(self) -> str:
        place = "state" if len(self.configuration) == 1 else "states"
        stop = "" if self.reason.endswith((".", "!", "?")) else "."  # it may quote what an author has written
        reason = f" {self.reason}{stop}" if self.reason else ""
        now = f"Accepted now: {quoted(self.accepted)}." if self.accepted else "Nothing from outside is accepted now."
        return f"event '{self.event}' is not accepted in {place} {quoted(self.configuration)}.{reason} {now}"


class TooLarge(EventError):
    """The request is longer than the machine takes."""

    def __init__(self, *, chart: str, size: int, limit: int, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.size = size
        self.limit = limit

    @property
    def what(self) -> str:
        return f"the input has {self.size} bytes; at most {self.limit} are taken. Send a reference to it instead."


class TooManyDeferred(EventError):
    """The event would be kept for later, but the machine keeps as many or as much as it can."""

    def __init__(self, *, chart: str, event: str, waiting: int, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.waiting = waiting

    @property
    def what(self) -> str:
        return (
            f"event '{self.event}' would be deferred, but {self.waiting} events wait already and there is no room for it."
            " Send it again later."
        )


class TooManyWaiting(EventError):
    """As many wait for this machine as may."""

    def __init__(self, *, chart: str, waiting: int, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.waiting = waiting

    @property
    def what(self) -> str:
        return f"{self.waiting} wait for this machine already, and no more may. Try again later."


class InvalidPayload(EventError):
    """A payload or a machine's data does not fit its declared type.

    `path` is written as in JSONPath: `$.items[2].price`.
    """

    def __init__(
        self, *, chart: str, subject: str, expected: str, problem: str, path: str = "$", key: str | None = None
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.subject = subject
        self.expected = expected
        self.problem = problem
        self.path = path

    @property
    def what(self) -> str:
        return f"{self.subject} does not fit {self.expected}: {self.problem} at {self.path}."


class Undecodable(EventError):
    """No event can be made of a record of a topic, or of a request to a webhook."""

    def __init__(self, *, chart: str, source: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.source = source
        self.problem = problem

    @property
    def what(self) -> str:
        return f"{self.source} cannot be decoded: {self.problem}"


class BadSignature(EventError):
    """A request to a webhook does not prove who has sent it. Nothing of it was read."""

    def __init__(self, *, chart: str, webhook: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.webhook = webhook
        self.problem = problem

    @property
    def what(self) -> str:
        return f"the request to webhook '{self.webhook}' is refused: {self.problem}"

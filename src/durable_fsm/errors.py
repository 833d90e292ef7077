"""Every exception durable_fsm raises, sorted by who can act on it.

    DurableFSMError
    ├── DefinitionError        the author, at import: every problem of a definition, not the first
    │   └── NotDurable             valid in the library it was written for, impossible to host
    ├── EventError             the sender: the machine has not moved
    │   ├── MalformedInput         the request is not what this handler reads
    │   ├── Forbidden              a private event, sent from outside
    │   ├── UnknownEvent           the chart declares no such event
    │   ├── EventRejected          declared, but not accepted where the machine is now
    │   ├── TooManyDeferred        declared to wait, and too many wait already
    │   ├── TooManyWaiting         as many wait for the machine as may
    │   ├── TooLarge               longer than the machine takes
    │   ├── InvalidPayload         the payload or the data does not fit its declared type
    │   ├── Undecodable            a record or a request of which no event can be made
    │   └── BadSignature           a request that does not prove who has sent it
    ├── MachineError           the operator
    │   ├── NotStarted             no machine has this key
    │   ├── AlreadyStarted         a machine with other data has this key
    │   ├── Finished               the machine has reached its end
    │   ├── Gone                   it has, long ago: nothing of it is left
    │   ├── NotRepairable          the machine has nothing of the kind to be repaired
    │   ├── FlowStuck              a flow has nothing to wait for, and has not ended
    │   ├── NotUndone              the machine has done something that deleting it would leave behind
    │   ├── WaitTimedOut           the machine has not come where somebody waited for it
    │   ├── WaitInVain             it has ended, failed or been deleted elsewhere
    │   ├── NotRunning             there is no activity to cancel
    │   ├── VersionError           the snapshot belongs to a chart this deployment does not serve
    │   ├── MigrationError         the way from the snapshot's version to this one cannot be gone
    │   ├── SnapshotUnreadable     the stored snapshot is not one of ours
    │   └── SecretMissing          requests of a webhook cannot be checked: its secret is not in the environment
    ├── ActionError            the author: a callback raised and nothing handled it; the machine has not moved
    ├── UnknownWork            the author: a callback starts work that the chart does not declare
    ├── CallError              a client: its call has not been answered by a machine
    │   ├── NoAnswer               nobody has answered for as long as the client was patient
    │   └── UnexpectedAnswer       somebody has, with what is no machine's answer
    └── TerminalError          raised by activities: trying again would not help
        ├── CallbackTimeout        nobody has answered in time
        ├── CallbackRejected       somebody outside has said no
        └── CallbackUnreadable     the answer is no JSON, or too long

`DefinitionWarning` is for the author, too: a definition that can run, and hardly does what is wanted.

Exceptions are built from keyword facts, keep them as attributes and compose their own message. `key` is unknown where
most of them are raised: the host adds it as they rise, with `locate`.
"""

from __future__ import annotations

import difflib
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

__all__ = [
    "ActionError",
    "AlreadyStarted",
    "BadSignature",
    "CallError",
    "CallbackRejected",
    "CallbackTimeout",
    "CallbackUnreadable",
    "DefinitionError",
    "DefinitionWarning",
    "DurableFSMError",
    "EventError",
    "EventRejected",
    "Finished",
    "FlowStuck",
    "Forbidden",
    "Gone",
    "InvalidPayload",
    "MachineError",
    "MalformedInput",
    "MigrationError",
    "NoAnswer",
    "NotDurable",
    "NotRepairable",
    "NotRunning",
    "NotStarted",
    "NotUndone",
    "Problem",
    "SecretMissing",
    "SnapshotUnreadable",
    "TerminalError",
    "TooLarge",
    "TooManyDeferred",
    "TooManyWaiting",
    "Undecodable",
    "UnexpectedAnswer",
    "UnknownEvent",
    "UnknownWork",
    "VersionError",
    "WaitInVain",
    "WaitTimedOut",
    "locate",
]


def quoted(names: Iterable[str]) -> str:
    """`'cart', 'paid'`: ids as every message prints them."""
    return ", ".join(f"'{name}'" for name in names)


class DurableFSMError(Exception):
    """Base of everything durable_fsm raises; `str()` is where, what and what now, in full sentences."""

    def __init__(self, *, chart: str, key: str | None = None) -> None:
        super().__init__()
        self.chart = chart
        self.key = key

    @property
    def where(self) -> str:
        """`Order/o-17`, or `Order` as long as no key is known."""
        return self.chart if self.key is None else f"{self.chart}/{self.key}"

    @property
    def what(self) -> str:
        """The message without its place."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


@contextmanager
def locate(key: str) -> Generator[None]:
    """Add the machine's key to any of our errors that passes through."""
    try:
        yield
    except DurableFSMError as error:
        if error.key is None:
            error.key = key
        raise


# ── the author ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a definition: what, what to do about it, and where it was written.

    `place` is `file:line` where the front-end knows it, otherwise empty.
    """

    what: str
    remedy: str
    place: str = ""

    def __str__(self) -> str:
        sentence = f"{self.what} {self.remedy}" if self.remedy else self.what
        return f"{sentence} ({self.place})" if self.place else sentence


class DefinitionError(DurableFSMError):
    """A definition cannot become a chart. Raised at import, with every problem found."""

    def __init__(self, *, chart: str, problems: Iterable[Problem]) -> None:
        super().__init__(chart=chart)
        self.problems = tuple(problems)

    @property
    def what(self) -> str:
        if len(self.problems) == 1:
            return str(self.problems[0])
        lines = [f"  {number}. {problem}" for number, problem in enumerate(self.problems, 1)]
        return "\n".join([f"{len(lines)} problems.", *lines])


class DefinitionWarning(UserWarning):
    """A definition that can run, and hardly does what its author wants."""


class NotDurable(DefinitionError):
    """The definition is valid in its own library, but cannot be hosted durably."""


class ActionError(DurableFSMError):
    """A callback raised, and no transition took `error.execution`. The original is `__cause__`."""

    def __init__(self, *, chart: str, event: str, callback: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.callback = callback
        self.problem = problem

    @property
    def what(self) -> str:
        return (
            f"{self.callback} failed while '{self.event}' was taken: {self.problem} The machine has not moved."
            " Mend the callback, or give the chart a transition for 'error.execution'."
        )


class UnknownWork(DurableFSMError):
    """A callback starts work that its chart does not declare."""

    def __init__(self, *, chart: str, work: str, known: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.work = work
        self.known = tuple(known)

    @property
    def what(self) -> str:
        declares = f"It declares: {quoted(self.known)}." if self.known else "It declares none: @durable(work=[...])."
        close = difflib.get_close_matches(self.work, self.known, n=1)
        return f"there is no work '{self.work}' to start. {declares}" + (
            f" Did you mean '{close[0]}'?" if close else ""
        )


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


# ── the sender ────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── the operator ──────────────────────────────────────────────────────────────────────────────────────────────────────


class MachineError(DurableFSMError):
    """The machine, or what is stored of it, is not in a condition to take the request."""


class NotStarted(MachineError):
    """No machine has this key."""

    def __init__(self, *, chart: str, remedy: str = "Start it with 'create'.", key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.remedy = remedy

    @property
    def what(self) -> str:
        return f"there is no such machine. {self.remedy}"


class AlreadyStarted(MachineError):
    """`create` met a machine that was created with other data. A machine is never reset."""

    def __init__(self, *, chart: str, configuration: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        place = "state" if len(self.configuration) == 1 else "states"
        return (
            f"the machine exists, created with other data, and is in {place} {quoted(self.configuration)}."
            " Use another key, or 'delete' it first."
        )


class Finished(MachineError):
    """The machine has reached its end and takes no more events."""

    def __init__(self, *, chart: str, event: str, configuration: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.event = event
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        return (
            f"the machine has ended in {quoted(self.configuration)}; it takes no '{self.event}' any more."
            " Its snapshot can still be read; 'delete' frees the key."
        )


class Gone(MachineError):
    """The machine has ended, and nothing of it is left but that."""

    def __init__(self, *, chart: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)

    @property
    def what(self) -> str:
        return "the machine has ended, and nothing of it is kept. Use another key; 'delete' frees this one."


class FlowStuck(MachineError):
    """A flow has come to rest where only an event from outside would lead on, and nobody can send it one."""

    def __init__(self, *, chart: str, configuration: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        return (
            f"the flow waits in {quoted(self.configuration)} for an event from outside, and nobody can send it one."
            " Run the chart as a workflow."
        )


class NotRepairable(MachineError):
    """A repair asks for something that the machine does not have. It has not moved."""

    def __init__(self, *, chart: str, problem: str, known: Iterable[str] = (), key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.problem = problem
        self.known = tuple(known)

    @property
    def what(self) -> str:
        return f"{self.problem} There is {quoted(self.known)}." if self.known else self.problem


class NotUndone(MachineError):
    """Deleting the machine would leave behind what it has done. It was not deleted."""

    def __init__(
        self,
        *,
        chart: str,
        done: Iterable[str] = (),
        ending: Iterable[str] = (),
        problem: str = "",
        key: str | None = None,
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.done = tuple(done)
        self.ending = tuple(ending)
        self.problem = problem

    @property
    def what(self) -> str:
        facts = [self.problem] if self.problem else []
        if self.done:
            facts.append(f"{quoted(self.done)} {_are(self.done)} done and not undone.")
        if self.ending:
            facts.append(f"{quoted(self.ending)} {_are(self.ending)} not over, and may be done nonetheless.")
        remedy = 'Delete it with {"compensate": true} to undo that first, or with {"abandon": true} to leave it behind.'
        return " ".join([*facts, remedy])


def _are(ids: tuple[str, ...]) -> str:
    return "is" if len(ids) == 1 else "are"


class WaitTimedOut(MachineError):
    """The condition was not met in time. The machine goes on; an event that came with it may have been taken."""

    def __init__(self, *, chart: str, condition: str, after: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.condition = condition
        self.after = after

    @property
    def what(self) -> str:
        return (
            f"{self.condition} was not met within {self.after}. The machine goes on: wait again, or read its snapshot."
        )


class WaitInVain(MachineError):
    """The condition can no longer be met: the machine has ended, has failed, or was deleted."""

    def __init__(
        self, *, chart: str, condition: str, status: str, configuration: Iterable[str] = (), key: str | None = None
    ) -> None:
        super().__init__(chart=chart, key=key)
        self.condition = condition
        self.status = status
        self.configuration = tuple(configuration)

    @property
    def what(self) -> str:
        where = f" in {quoted(self.configuration)}" if self.configuration else ""
        return f"{self.condition} will not be met: the machine is {self.status}{where}."


class NotRunning(MachineError):
    """`cancel` found nothing that it may stop."""

    def __init__(self, *, chart: str, activity: str | None, running: Iterable[str], key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.activity = activity
        self.running = tuple(running)

    @property
    def what(self) -> str:
        wanted = "no exclusive activity" if self.activity is None else f"no activity '{self.activity}'"
        others = f' Running now: {quoted(self.running)}. Name one: {{"activity": id}}.' if self.running else ""
        return f"{wanted} is running.{others}"


class VersionError(MachineError):
    """The stored snapshot belongs to a version of the chart that this deployment does not serve. It stays as it is."""

    def __init__(self, *, chart: str, stored: str, served: Iterable[str], problem: str = "", key: str | None = None):
        super().__init__(chart=chart, key=key)
        self.stored = stored
        self.served = tuple(served)
        self.problem = problem

    @property
    def what(self) -> str:
        detail = f" {self.problem}" if self.problem else ""
        return (
            f"the snapshot was written by chart version '{self.stored}'; this deployment reads {quoted(self.served)}."
            f"{detail} Deploy version '{self.stored}' beside it, or add a migration."
        )


class MigrationError(MachineError):
    """A migration does not lead to a machine of the chart. The snapshot stays as it is."""

    def __init__(self, *, chart: str, source: str, to: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.source = source
        self.to = to
        self.problem = problem

    @property
    def what(self) -> str:
        return (
            f"the migration from version '{self.source}' to '{self.to}' cannot be done: {self.problem}"
            " The snapshot was left as it is. Mend the migration and deploy again."
        )


class SnapshotUnreadable(MachineError):
    """What is stored under this key is not a snapshot this build can read. It stays as it is."""

    def __init__(self, *, chart: str, problem: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.problem = problem

    @property
    def what(self) -> str:
        return f"the stored snapshot cannot be read: {self.problem} It was left as it is."


class SecretMissing(MachineError):
    """Requests to a webhook cannot be checked, so none is taken."""

    def __init__(self, *, chart: str, webhook: str, variable: str, key: str | None = None) -> None:
        super().__init__(chart=chart, key=key)
        self.webhook = webhook
        self.variable = variable

    @property
    def what(self) -> str:
        return (
            f"webhook '{self.webhook}' cannot check its requests: the environment has no {self.variable}."
            " Set it where the service runs, and restart it."
        )


# ── a client ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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

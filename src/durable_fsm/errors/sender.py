"""Errors that the sender of an event can fix."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from durable_fsm.errors.base import DurableFSMError, counted, quoted


@dataclass(kw_only=True, eq=False, repr=False)
class EventError(DurableFSMError):
    """The sender can fix this. The machine has not changed."""


@dataclass(kw_only=True, eq=False, repr=False)
class MalformedInput(EventError):
    """The handler cannot read the request: it is not JSON, or not the object that the handler expects.

    Remedy: send a JSON body of the form that the HTTP API lists for this handler, with `content-type:
    application/json`.
    """

    handler: str
    problem: str

    @property
    def what(self) -> str:
        return f"the input of '{self.handler}' cannot be read: {self.problem}"


@dataclass(kw_only=True, eq=False, repr=False)
class Forbidden(EventError):
    """The event belongs to the machine itself (a timer, an outcome) and may not be sent from outside.

    `senders` are the topics and webhooks that name it, and so may send it.

    Remedy: send a public event instead; or declare this one `event(..., public=True)`.
    """

    event: str
    senders: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        if self.senders:
            return f"event '{self.event}' is private: only {' or '.join(self.senders)} sends it."
        return f"event '{self.event}' is private: only the machine itself sends it. Declare it public=True to open it."


@dataclass(kw_only=True, eq=False, repr=False)
class NotOperator(EventError):
    """The handler is open to operators only, and no operator has signed the request; or the signature is wrong.

    Remedy: sign it with a secret of the service, as `client.as_operator(...)`, `durable-fsm --operator` and the console do.
    """

    handler: str
    problem: str

    @property
    def what(self) -> str:
        return f"'{self.handler}' is refused: {self.problem}"


@dataclass(kw_only=True, eq=False, repr=False)
class Moved(EventError):
    """The request was made for an earlier state of the machine (`if_seq`), and the machine has moved since.

    Remedy: look at the machine again; then send the request with the new `seq`, or not at all.
    """

    expected: int
    seq: int
    configuration: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        seen = f"at step {self.expected}" if self.expected else "before it existed"
        now = (
            f"it is at step {self.seq} now, in {quoted(self.configuration)}" if self.seq else "it is not there any more"
        )
        return f"the machine has moved. The request was made {seen}; {now}. Read it again."


@dataclass(kw_only=True, eq=False, repr=False)
class UnknownEvent(EventError):
    """The chart declares no such event.

    Remedy: correct the name of the event. `durable-fsm events` lists those that the chart has.
    """

    event: str
    known: tuple[str, ...]

    @property
    def what(self) -> str:
        knows = f" It knows: {quoted(self.known)}." if self.known else " It declares no public event."
        close = difflib.get_close_matches(self.event, self.known, n=1)
        return f"there is no event '{self.event}'.{knows}" + (f" Did you mean '{close[0]}'?" if close else "")


@dataclass(kw_only=True, eq=False, repr=False)
class NotIndexed(EventError):
    """The search names a field of the data that has no index.

    Remedy: search by a field that has an index; or add the field to `@durable(index=(...))` and deploy.
    """

    field: str
    known: tuple[str, ...]

    @property
    def what(self) -> str:
        has = f"It has one of {quoted(self.known)}." if self.known else "It has none."
        close = difflib.get_close_matches(self.field, self.known, n=1)
        remedy = f"Did you mean '{close[0]}'?" if close else f"Declare it with index=('{self.field}',)."
        return f"there is no index of '{self.field}'. {has} {remedy}"


@dataclass(kw_only=True, eq=False, repr=False)
class EventRejected(EventError):
    """No transition accepts the event where the machine is now.

    Remedy: send one of the events in `accepted`, or wait until the machine reaches a state that accepts this one. To keep
    early events instead, use `defer(...)`; to drop them, `ignore(...)`.
    """

    event: str
    configuration: tuple[str, ...]
    accepted: tuple[str, ...]
    reason: str = ""

    @property
    def what(self) -> str:
        place = "state" if len(self.configuration) == 1 else "states"
        stop = "" if self.reason.endswith((".", "!", "?")) else "."  # it may quote what an author has written
        reason = f" {self.reason}{stop}" if self.reason else ""
        now = f"Accepted now: {quoted(self.accepted)}." if self.accepted else "Nothing from outside is accepted now."
        return f"event '{self.event}' is not accepted in {place} {quoted(self.configuration)}.{reason} {now}"


@dataclass(kw_only=True, eq=False, repr=False)
class TooLarge(EventError):
    """The request is longer than a machine accepts.

    Remedy: store the content elsewhere, and send a reference to it.
    """

    size: int
    limit: int

    @property
    def what(self) -> str:
        return f"the input has {self.size} bytes; at most {self.limit} are allowed. Send a reference to it instead."


@dataclass(kw_only=True, eq=False, repr=False)
class TooManyDeferred(EventError):
    """The event would be deferred, but the machine has reached its limit of deferred events.

    Remedy: send the event again later, when the machine has processed those that wait.
    """

    event: str
    waiting: int

    @property
    def what(self) -> str:
        return (
            f"event '{self.event}' cannot be deferred: {counted(self.waiting, 'event')} {'is' if self.waiting == 1 else 'are'} deferred already, and the machine has no"
            " room for more. Send it again later."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class DeferredTooLong(EventError):
    """The event was deferred, and no state accepted it in time. The machine has forgotten it.

    Remedy: send the event again; or raise `@durable(defer_for=...)`.
    """

    event: str
    after: str

    @property
    def what(self) -> str:
        return f"event '{self.event}' was deferred for {self.after}, and no state accepted it. Send it again."


@dataclass(kw_only=True, eq=False, repr=False)
class TooManyWaiting(EventError):
    """The limit of callers that wait for one machine is reached, or of those that begin to wait at the same time.

    Remedy: wait again later; or read the snapshot instead of waiting.
    """

    waiting: int
    whom: str = "this machine"

    @property
    def what(self) -> str:
        wait = "waits" if self.waiting == 1 else "wait"
        callers = counted(self.waiting, "caller")
        return f"{callers} {wait} for {self.whom} already, which is the limit. Try again later."


@dataclass(kw_only=True, eq=False, repr=False)
class InvalidPayload(EventError):
    """A payload or a machine's data does not fit its declared type.

    `path` is written as in JSONPath: `$.items[2].price`.

    Remedy: correct the value at `path`. The OpenAPI document has the schema of each payload.
    """

    subject: str
    expected: str
    problem: str
    path: str = "$"

    @property
    def what(self) -> str:
        return f"{self.subject} does not fit {self.expected}: {self.problem} at {self.path}."


@dataclass(kw_only=True, eq=False, repr=False)
class KeyReused(EventError):
    """The idempotency key was used for something else before, so this was not sent; the client finds that out.

    Remedy: use a new idempotency key for each request, and the old one only to repeat a request unchanged.
    """

    event: str
    idempotency_key: str
    before: str

    @property
    def what(self) -> str:
        return (
            f"'{self.event}' was not sent: the idempotency key {self.idempotency_key!r} was already used for"
            f" '{self.before}', and returns that receipt for a day. Use another key for each request."
        )


@dataclass(kw_only=True, eq=False, repr=False)
class Undecodable(EventError):
    """A record of a topic, or a request to a webhook, cannot be turned into an event.

    Remedy: correct the producer, or let the decoder return None for input that it should skip.
    """

    source: str
    problem: str

    @property
    def what(self) -> str:
        return f"{self.source} cannot be decoded: {self.problem}"


@dataclass(kw_only=True, eq=False, repr=False)
class BadSignature(EventError):
    """A request to a webhook does not prove who sent it. Its content was not read.

    Remedy: check that the provider signs with the secret of this webhook, and that the clocks agree.
    """

    webhook: str
    problem: str

    @property
    def what(self) -> str:
        return f"the request to webhook '{self.webhook}' is refused: {self.problem}"

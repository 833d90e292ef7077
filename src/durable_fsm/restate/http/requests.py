"""Requests and answers: how a body is read, what each built-in handler takes, and the receipt.

The ingress checks nothing, not even that a body is JSON, so every handler takes bytes and reads them here. The shape of a
request is a struct; discovery and OpenAPI publish the schema that msgspec makes of it.
"""

from __future__ import annotations

import json
import math
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, TypeAlias, TypeVar, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType
from restate import TerminalError as RestateTerminalError
from restate.retry_policy import InvocationRetryPolicy
from restate.serde import BytesSerde

from durable_fsm import errors
from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.codec import MAX_DEPTH, TOO_DEEP, canonical
from durable_fsm.core.condition import MOST as MOST_CONDITIONS
from durable_fsm.core.condition import fault_in
from durable_fsm.core.durations import DURATION, LONGEST_DELAY, duration_of
from durable_fsm.core.effects import Outcome
from durable_fsm.core.receipt import end_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.step import active_in
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord, dumps, loads
from durable_fsm.restate.http.members import ObjectMembers, number_of_members, refuse_repeated
from durable_fsm.restate.names import Handler
from durable_fsm.restate.observability import redaction
from durable_fsm.restate.observability.texts import writable

MAX_INPUT = 1024 * 1024
"""Longest request body in bytes; the ingress itself refuses more than 32 MiB."""

MAX_SNAPSHOT = 16 * 1024 * 1024
"""Longest snapshot in bytes; beyond 32 MiB the platform would retry for ever and the key would be blocked."""

MAX_NAME = 200
"""Longest name of an event in characters; errors and logs repeat it."""

MAX_REASON = 1_000
"""Longest reason of a repair in characters; the machine carries it along for a while."""

LONGEST_WAIT = timedelta(days=365)
USUAL_WAIT = timedelta(hours=1)

BYTES = BytesSerde()

FOR_EVER = InvocationRetryPolicy(max_attempts=2**31 - 1)
"""Restate retries after outages and during deployments. If it gave up, it would block the machine's key."""


def name_of_event(chart: str, handler: str, name: str) -> str:
    """The name itself.

    Raises:
        MalformedInput: it is longer than any name may be.
    """
    if len(name) > MAX_NAME:
        problem = f"the name of an event has {MAX_NAME} characters at most."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem)
    return name


def read(chart: str, handler: str, body: bytes) -> Json:
    """Read a request body as JSON; an empty body is null.

    Raises:
        TooLarge: the body has more than `MAX_INPUT` bytes.
        MalformedInput: it is not JSON in UTF-8, is nested too deeply, or could not be written again.
    """
    if len(body) > MAX_INPUT:
        raise errors.TooLarge(chart=chart, size=len(body), limit=MAX_INPUT)
    if not body or body.isspace():
        return None
    try:
        value = _value_in(body)
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
            raise RecursionError
    except UnicodeDecodeError as error:
        raise errors.MalformedInput(chart=chart, handler=handler, problem="it is not UTF-8.") from error
    except UnicodeEncodeError as error:
        problem = "it contains an unpaired surrogate escape."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem) from error
    except RecursionError as error:
        problem = f"{TOO_DEEP}."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem) from error
    except ValueError as error:
        raise errors.MalformedInput(chart=chart, handler=handler, problem=f"{error}.") from error
    if redaction.current() is not None:
        redaction.seen(value)
    return value


def _value_in(body: bytes) -> Json:
    try:
        value: Json = loads(body)
    except ValueError:
        pass
    else:
        if body.count(b":") != number_of_members(value):
            refuse_repeated(json.loads(body, object_pairs_hook=ObjectMembers))
        return value
    # The slower reader explains better what is wrong. It also reads unpaired surrogates, which cannot be written.
    value = json.loads(body.decode(), parse_constant=_no_number, parse_float=_finite, object_pairs_hook=ObjectMembers)
    refuse_repeated(value)
    dumps(value)
    return value


def _is_deeper(value: Json, levels: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inside is not None and (levels == 0 or any(_is_deeper(item, levels - 1) for item in inside))


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


# ── the shapes of requests ────────────────────────────────────────────────────────────────────────────────────────────

IsTrue: TypeAlias = Annotated[bool, Meta(extra_json_schema={"const": True})]
Count: TypeAlias = Annotated[int, Meta(ge=0)]
Name: TypeAlias = Annotated[str, Meta(extra_json_schema={"maxLength": MAX_NAME})]
Reason: TypeAlias = Annotated[
    str, Meta(extra_json_schema={"maxLength": MAX_REASON, "pattern": r"[^\s\x00-\x1f\x85]", "minLength": 1})
]

R = TypeVar("R", bound="RequestStruct")


class RequestStruct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what a built-in handler takes. A member that the caller leaves out is UNSET."""


def request_in(kind: type[R], chart: str, handler: str, body: bytes, *, shape: str, may_be_link: bool = True) -> R:
    """Read a request; an empty body is an empty object.

    Args:
        may_be_link: False for a handler that destroys something. The ingress calls handlers for GET, too, and a handler
            does not see the method; so such a handler demands a body, which no link in a mail can have.

    Raises:
        MalformedInput: it has another shape. The message says which is expected, and where the request differs.
    """
    if not (may_be_link or body.strip()):
        problem = f"the body is empty. Send {shape}: a link could call this without a body."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem)
    value = read(chart, handler, body)
    try:
        return msgspec.convert({} if value is None else value, kind)
    except msgspec.ValidationError as error:
        # A message of a struct's own says all. A message of msgspec says where the request differs from the shape.
        problem = f"{error.__cause__}" if error.__cause__ is not None else f"expected {shape}. {error}."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem) from error


def _schema(kind: type[RequestStruct], **more: Json) -> dict[str, Json]:
    schema: dict[str, Json] = msgspec.json.schema(kind)["$defs"][kind.__name__]
    return {name: member for name, member in {**schema, **more}.items() if name not in ("title", "description")}


class SendRequest(RequestStruct, frozen=True):
    event: Name
    payload: Json = None
    if_seq: Count | UnsetType = UNSET

    @classmethod
    def decode(cls, chart: str, body: bytes) -> SendRequest:
        request = request_in(cls, chart, Handler.SEND, body, shape='{"event": name, "payload": …}')
        name_of_event(chart, Handler.SEND, request.event)
        return request


class HistoryRequest(RequestStruct, frozen=True):
    after: Count | UnsetType = UNSET
    limit: Count | UnsetType = UNSET
    last: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.last is not UNSET and not (self.after is UNSET and self.limit is UNSET):
            raise ValueError("'last' goes without 'after' and 'limit'.")

    @classmethod
    def decode(cls, chart: str, body: bytes) -> HistoryRequest:
        value = read(chart, Handler.HISTORY, body)
        if isinstance(value, dict):  # in JSON Schema 3.0 is an integer too
            value = {
                name: int(one) if isinstance(one, float) and one.is_integer() else one for name, one in value.items()
            }
        shape = '{"after": number, "limit": number} or {"last": number}'
        return request_in(cls, chart, Handler.HISTORY, dumps(value), shape=shape)


class CancelRequest(RequestStruct, frozen=True):
    activity: str | UnsetType = UNSET

    @classmethod
    def decode(cls, chart: str, body: bytes) -> CancelRequest:
        return request_in(cls, chart, Handler.CANCEL, body, shape='{} or {"activity": id}', may_be_link=False)


class DeleteMode(StrEnum):
    """How to treat completed work on delete: refuse (`CLEAN`), undo it first (`COMPENSATE`), or keep it (`ABANDON`)."""

    CLEAN = "clean"
    COMPENSATE = "compensate"
    ABANDON = "abandon"


DELETE_SHAPE = '{}, {"compensate": true} or {"abandon": true}'


class DeleteRequest(RequestStruct, frozen=True):
    compensate: IsTrue | UnsetType = UNSET
    abandon: IsTrue | UnsetType = UNSET
    if_seq: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        if False in (self.compensate, self.abandon) or self.compensate is self.abandon is True:
            raise ValueError(f"expected {DELETE_SHAPE}.")

    @property
    def mode(self) -> DeleteMode:
        if self.compensate is True:
            return DeleteMode.COMPENSATE
        return DeleteMode.ABANDON if self.abandon is True else DeleteMode.CLEAN

    @classmethod
    def decode(cls, chart: str, body: bytes) -> DeleteRequest:
        return request_in(cls, chart, Handler.DELETE, body, shape=DELETE_SHAPE, may_be_link=False)


VERBS = ("retry", "skip", "resend", "move", "migrate", "timer", "pause", "resume")
REPAIR_SHAPE = (
    '{"reason": "…"} with one of "retry": activity, "skip": activity (and "result"), "resend": true,'
    ' "move": state or [states], "migrate": true, "timer": event or id (and "after"),'
    ' "pause": true, "resume": true'
)


class RepairRequest(RequestStruct, frozen=True):
    reason: Reason = ""
    retry: str | UnsetType = UNSET
    skip: str | UnsetType = UNSET
    result: Json | UnsetType = UNSET
    resend: IsTrue | UnsetType = UNSET
    move: str | Annotated[list[str], Meta(min_length=1)] | UnsetType = UNSET
    migrate: IsTrue | UnsetType = UNSET
    pause: IsTrue | UnsetType = UNSET
    resume: IsTrue | UnsetType = UNSET
    if_seq: Count | UnsetType = UNSET
    timer: str | UnsetType = UNSET
    after: Annotated[str, Meta(extra_json_schema={"pattern": DURATION})] | Annotated[float, Meta(ge=0)] | UnsetType = (
        UNSET
    )

    def __post_init__(self) -> None:
        verbs = [verb for verb in VERBS if getattr(self, verb) is not UNSET]
        has_stray_result = self.result is not UNSET and verbs != ["skip"]
        has_stray_time = self.after is not UNSET and verbs != ["timer"]
        if (
            len(verbs) != 1
            or has_stray_result
            or has_stray_time
            or False in (self.resend, self.migrate, self.pause, self.resume)
        ):
            raise ValueError(f"expected {REPAIR_SHAPE}.")
        if not self.reason.strip():
            raise ValueError("a repair needs a reason: it is kept with the machine's history.")
        if len(self.reason) > MAX_REASON:
            raise ValueError(f"a reason has {MAX_REASON:,} characters at most.")
        if not timedelta(0) <= self.delay <= LONGEST_DELAY:
            raise ValueError(f"'after' must be between 0 and {LONGEST_DELAY.days:,} days.")

    @property
    def delay(self) -> timedelta:
        """When the timer is due, from now; at once, if the request does not say.

        Raises:
            ValueError: it is not a duration.
        """
        if isinstance(self.after, UnsetType):
            return timedelta(0)
        return duration_of(self.after if isinstance(self.after, str) else str(self.after), unit="s")

    @property
    def verb(self) -> str:
        return next(verb for verb in VERBS if getattr(self, verb) is not UNSET)

    @property
    def about(self) -> Json:
        """The value of the verb: an activity, states, or true."""
        about: Json = getattr(self, self.verb)
        return about

    @classmethod
    def decode(cls, chart: str, body: bytes) -> RepairRequest:
        return request_in(cls, chart, Handler.REPAIR, body, shape=REPAIR_SHAPE, may_be_link=False)


SEND_SCHEMA = _schema(SendRequest)
HISTORY_SCHEMA = _schema(HistoryRequest, dependentSchemas={"last": {"maxProperties": 1}})
CANCEL_SCHEMA = _schema(CancelRequest)
DELETE_SCHEMA = _schema(DeleteRequest, dependentSchemas={"abandon": {"properties": {"compensate": False}}})
REPAIR_SCHEMA = _schema(
    RepairRequest,
    required=["reason"],
    oneOf=[{"required": [verb]} for verb in VERBS],
    dependentRequired={"result": ["skip"], "after": ["timer"]},
)


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class WaitOrder(WireRecord, frozen=True):
    """The order to register a waiter, behind the event that came with the request, if any.

    `waiter` is the invocation that waits. An earlier build sent an `awakeable` instead.
    """

    until: dict[str, Json]
    event: str | None
    payload: Json
    waiter: str = ""
    awakeable: str = ""


class WaitRequest(msgspec.Struct, frozen=True):
    """A condition to wait for (see `core.condition`), and an event to send first, if any."""

    until: dict[str, Json]
    event: str | None
    payload: Json
    timeout: timedelta

    @classmethod
    def decode(cls, chart: Chart, body: bytes) -> WaitRequest:
        """Read `{"state": "paid", "event": "checkout", "payload": {…}, "timeout": "30s"}`.

        Raises:
            MalformedInput: it is something else, or no chart has such a state, tag or status.
        """
        request = read(chart.name, Handler.WAIT_FOR, body)
        if not isinstance(request, dict):
            raise _not_waitable(chart, 'expected an object such as {"state": "paid", "timeout": "30s"}.')
        until = {name: value for name, value in request.items() if name not in ("event", "payload", "timeout")}
        event = request.get("event")
        if event is not None and not isinstance(event, str):
            raise _not_waitable(chart, "'event' must be the name of an event.")
        if event is not None:
            name_of_event(chart.name, Handler.WAIT_FOR, event)
        if event is None and "payload" in request:
            raise _not_waitable(chart, "'payload' belongs to an 'event'.")
        faults = [fault_in(one, until, with_event=event is not None) for one in chart.served]
        if all(faults):
            raise _not_waitable(chart, str(faults[0]))
        return cls(until, event, request.get("payload"), _timeout(chart, request.get("timeout")))

    def order(self, waiter: str) -> bytes:
        return WaitOrder(self.until, self.event, self.payload, waiter).encode()


def _timeout(chart: Chart, wanted: Json) -> timedelta:
    if wanted is None:
        return USUAL_WAIT
    try:
        timeout = timedelta(seconds=wanted) if isinstance(wanted, int | float) else duration_of(str(wanted))
    except (ValueError, OverflowError) as error:
        raise _not_waitable(chart, f"'timeout': {error}") from error
    if not timedelta(0) <= timeout <= LONGEST_WAIT:
        raise _not_waitable(chart, f"'timeout' must be between 0 and {LONGEST_WAIT.days} days.")
    return timeout


def _not_waitable(chart: Chart, problem: str) -> errors.MalformedInput:
    return errors.MalformedInput(chart=chart.name, handler=Handler.WAIT_FOR, problem=problem)


def wait_schema(chart: Chart) -> dict[str, Json]:
    """The schema of a `WaitRequest`, with the states and the tags of the chart."""
    states = dict.fromkeys(id for one in chart.served for id in one.states if id != ROOT)
    tags = sorted({tag for one in chart.served for state in one.states.values() for tag in state.tags})
    named: dict[str, list[str]] = {"state": list(states), "tag": tags}
    conditions: dict[str, Json] = {
        **{kind: {"enum": cast("Json", names)} for kind, names in named.items() if names},
        "status": {"enum": [status.value for status in Status]},
        "settled": {"const": True},
        "taken": {"const": True},
    }
    one: dict[str, Json] = {
        "type": "object",
        "properties": conditions,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }
    with_taken: dict[str, Json] = {"required": ["any"], "properties": {"any": {"contains": {"required": ["taken"]}}}}
    return {
        "type": "object",
        "properties": {
            **conditions,
            "any": {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_CONDITIONS},
            "event": {"type": "string", "maxLength": MAX_NAME},
            "payload": {},
            "timeout": {
                "anyOf": [
                    {"type": "string", "pattern": DURATION},
                    {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT.total_seconds()},
                ],
                "default": "1h",
            },
        },
        "oneOf": [{"required": [kind]} for kind in (*conditions, "any")],
        "dependentRequired": {"payload": ["event"], "taken": ["event"]},
        "if": with_taken,
        "then": {"required": ["event"]},
        "additionalProperties": False,
    }


# ── answers ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def receipt(chart: Chart, key: str, machine: Snapshot, *, event: str, outcome: Outcome | str, reply: Json) -> bytes:
    """The answer to the sender of an event; the machine's data is not part of it.

    Raises:
        TooLarge: the reply makes it longer than `MAX_SNAPSHOT`.
    """
    record: dict[str, Json] = {
        "chart": chart.name,
        "key": key,
        "seq": machine.seq,
        "event": event,
        "outcome": str(outcome),
        "configuration": list(active_in(chart, machine)),
        "status": machine.status.value,
        "reply": reply,
    }
    if machine.status is not Status.RUNNING:
        record |= end_of(machine)
    try:
        text = dumps(record)
    except UnicodeEncodeError:
        text = writable(canonical(record)).encode()
    if len(text) > MAX_SNAPSHOT:
        raise errors.TooLarge(chart=chart.name, size=len(text), limit=MAX_SNAPSHOT)
    return text


def answer_in(text: bytes) -> dict[str, Any]:  # Any: JSON
    """The answer to a waiter.

    Raises:
        restate.TerminalError: the answer is an error, which is the waiter's own now.
    """
    record: dict[str, Any] = loads(text)
    if "error" in record:
        error = record["error"]
        raise RestateTerminalError(error["message"], error["status"], metadata=error["metadata"])
    return record


def signal_in(text: bytes) -> str:
    """The name of the signal that a waiter is to wait for; empty if *text* is its answer."""
    record: dict[str, str] = loads(text)
    return record.get("signal", "")


def output_of(end: dict[str, Any]) -> bytes:
    """The output of a machine that has ended.

    Raises:
        restate.TerminalError: it has failed.
    """
    failure = end.get("failure")
    if failure is None:
        return dumps(end["output"])
    code = failure.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    told = {name: value for name, value in failure.items() if name != "place"}  # callers do not see into the code
    facts = {name: value if isinstance(value, str) else canonical(value) for name, value in told.items()}
    raise RestateTerminalError(writable(failure["message"]), status, metadata=facts)

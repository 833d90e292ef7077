"""What goes over the wire: bytes of requests, receipts, deliveries, and errors with their status.

The ingress checks nothing (not even that a body is JSON), so every handler takes bytes and reads them here.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from restate import TerminalError as RestateTerminalError
from restate.retry_policy import InvocationRetryPolicy
from restate.serde import BytesSerde

from durable_fsm import errors
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import canonical, failure_from_json, failure_to_json, plain
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.fastjson import dumps, loads
from durable_fsm.restate.http.errors import writable
from durable_fsm.restate.observability.redaction import seen

MAX_INPUT = 1024 * 1024
"""Longest request body in bytes; the ingress itself refuses more than 32 MiB."""

MAX_DEPTH = 100
"""Deepest nesting of a request body; what reads and writes it is recursive, and would fail at a depth of its own."""

MAX_SNAPSHOT = 16 * 1024 * 1024
"""Longest snapshot in bytes; beyond 32 MiB the platform would retry for ever and the key would be blocked."""

MAX_NAME = 200
"""Longest name of an event in characters; errors and logs repeat it."""

BYTES = BytesSerde()

FOR_EVER = InvocationRetryPolicy(max_attempts=2**31 - 1)
"""What the platform retries is an outage or a deployment: it must not give up, which would block the machine's key."""


def name_of_event(chart: str, handler: str, name: str) -> str:
    """The name itself.

    Raises:
        MalformedInput: it is longer than any name.
    """
    if len(name) > MAX_NAME:
        problem = f"the name of an event has {MAX_NAME} characters at most."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem)
    return name


def read(chart: str, handler: str, body: bytes) -> Json:
    """Read a request body as JSON; nothing at all is null.

    Raises:
        TooLarge: more than `MAX_INPUT` bytes.
        MalformedInput: no JSON text in UTF-8, nested too deeply, or one that could not be written again.
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
        problem = "an escape in it stands for half a character."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem) from error
    except RecursionError as error:
        problem = f"it is nested more than {MAX_DEPTH} levels deep."
        raise errors.MalformedInput(chart=chart, handler=handler, problem=problem) from error
    except ValueError as error:
        raise errors.MalformedInput(chart=chart, handler=handler, problem=f"{error}.") from error
    seen(value)
    return value


def _value_in(body: bytes) -> Json:
    try:
        value: Json = loads(body)
    except ValueError:
        pass
    else:
        return value
    value = json.loads(body.decode(), parse_constant=_no_number, parse_float=_finite)  # says better what is wrong
    dumps(value)  # lone surrogates can be read but not stored
    return value


def _is_deeper(value: Json, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_is_deeper(member, levels - 1) for member in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)
    return False


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def receipt(chart: Chart, key: str, machine: Snapshot, *, event: str, outcome: Outcome | str, reply: Json) -> bytes:
    """What the sender of an event is told; the machine's data is not part of it.

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
    try:
        text = dumps(record)
    except UnicodeEncodeError:
        text = writable(canonical(record)).encode()
    if len(text) > MAX_SNAPSHOT:
        raise errors.TooLarge(chart=chart.name, size=len(text), limit=MAX_SNAPSHOT)
    return text


def told(answer: bytes) -> dict[str, Any]:
    """What somebody who has waited is told; raises it, if that is an error."""
    record: dict[str, Any] = loads(answer)
    if "error" in record:
        error = record["error"]
        raise RestateTerminalError(error["message"], error["status"], metadata=error["metadata"])
    return record


def output_of(end: dict[str, Any]) -> bytes:
    """The output of a machine that has ended; raises its failure, if it has failed."""
    failure = end.get("failure")
    if failure is None:
        return dumps(end["output"])
    code = failure.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    facts = {name: value if isinstance(value, str) else canonical(value) for name, value in failure.items()}
    raise RestateTerminalError(writable(failure["message"]), status, metadata=facts)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A timer or an outcome on its way to its machine.

    `activity` is the id of the activity (or of the child) whose `result` or `error` it carries; None for a timer or a self-sent event.
    `tries` counts how often it was parked.
    """

    token: str
    activity: str | None = None
    result: Json = None
    error: Failure | None = None
    tries: int = 0

    def event_of(self, child: str) -> Event:
        """The event, as the end of a child."""
        return changed(self.event, invokeid=child)

    @property
    def event(self) -> Event:
        if self.activity is None:
            return Event("timer", origin=Origin.PLATFORM, token=self.token)
        if self.error is not None:
            return Event(f"error.invoke.{self.activity}", self.error, Origin.PLATFORM, token=self.token)
        return Event(f"done.invoke.{self.activity}", self.result, Origin.PLATFORM, token=self.token)

    @classmethod
    def of(cls, event: Event) -> Delivery:
        """The delivery that brings *event* again."""
        assert event.token is not None
        for prefix in ("done.invoke.", "error.invoke."):
            if event.name.startswith(prefix):
                activity = event.name.removeprefix(prefix)
                if isinstance(event.payload, Failure):
                    return cls(event.token, activity, error=event.payload)
                return cls(event.token, activity, result=plain(event.payload))
        return cls(event.token)

    def encode(self) -> bytes:
        record: dict[str, Json] = {
            "token": self.token,
            "activity": self.activity,
            "result": self.result,
            "error": failure_to_json(self.error) if self.error else None,
            "tries": self.tries or None,
        }
        return dumps({name: value for name, value in record.items() if value is not None})

    @classmethod
    def decode(cls, body: bytes) -> Delivery:
        record = loads(body)
        error = record.get("error")
        return cls(
            token=record["token"],
            activity=record.get("activity"),
            result=record.get("result"),
            error=failure_from_json(error) if error else None,
            tries=record.get("tries", 0),
        )

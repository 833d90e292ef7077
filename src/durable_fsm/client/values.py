"""The answers of a machine's handlers, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from durable_fsm.core.receipt import Receipt
from durable_fsm.core.snapshot import Status
from durable_fsm.core.values import Json

D = TypeVar("D")
T = TypeVar("T")

Record = dict[str, Any]  # Any: JSON of a shape that the host defines


def as_it_is(_: str, data: Json) -> Json:
    """The data of a machine as JSON, of whatever version."""
    return data


def receipt_in(record: Json) -> Receipt:
    """The receipt that a handler answered with; a machine that was deleted has only its key and the outcome."""
    told = _members(record)
    return Receipt(
        chart=told["chart"],
        key=told["key"],
        seq=told.get("seq", 0),
        event=told.get("event", ""),
        outcome=told["outcome"],
        configuration=tuple(told.get("configuration", ())),
        status=Status(told.get("status", Status.DONE)),
        reply=told.get("reply"),
        output=told.get("output"),
        failure=told.get("failure"),
    )


@dataclass(frozen=True, slots=True)
class Accepts:
    """Whether a machine accepts an event now, `yes`, `no`, `depends on payload`, `deferred` or `ignored`.

    `payload` is the JSON schema of its payload.
    """

    event: str
    accepts: str
    payload: Json = None


@dataclass(frozen=True, slots=True)
class View(Generic[D]):
    """A machine as `snapshot` shows it; `record` is the whole answer.

    `data` is JSON, or a value of the chart's data type if the machine was named by a class that declares one.
    """

    chart: str
    key: str
    version: str
    life: str
    seq: int
    status: Status
    configuration: tuple[str, ...]
    data: D
    output: Json
    failure: Json
    events: tuple[Accepts, ...]
    timers: tuple[Record, ...]
    activities: tuple[Record, ...]
    record: Record = field(repr=False)

    @staticmethod
    def of(record: Json, read: Callable[[str, Json], T]) -> View[T]:
        """The view in an answer; *read* makes the data of a version and its JSON."""
        told = _members(record)
        return View(
            chart=told["chart"],
            key=told["key"],
            version=told["version"],
            life=told["life"],
            seq=told["seq"],
            status=Status(told["status"]),
            configuration=tuple(told["configuration"]),
            data=read(told["version"], told.get("data")),
            output=told.get("output"),
            failure=told.get("failure"),
            events=tuple(Accepts(one["event"], one["accepts"], one.get("payload")) for one in told["events"]),
            timers=tuple(told.get("timers", ())),
            activities=tuple(told.get("activities", ())),
            record=told,
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a machine's history: its number and event; `record` is the whole entry."""

    n: int
    event: str
    record: Record = field(repr=False)


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Entries of a history in order; the next page begins after entry `next`, which is None at the end."""

    entries: tuple[Entry, ...]
    next: int | None

    @classmethod
    def of(cls, record: Json) -> HistoryPage:
        told = _members(record)
        entries = tuple(Entry(one["n"], one.get("event", ""), one) for one in told["entries"])
        return cls(entries, told.get("next"))


def _members(record: Json) -> Record:
    if not isinstance(record, Mapping):
        raise TypeError(f"expected an object, got {type(record).__name__}")
    return cast("Record", record)

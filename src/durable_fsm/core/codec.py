"""Values and snapshots as JSON, and back.

The text is canonical: keys and sets are sorted, so that the same machine gives the same bytes under any hash seed. A
platform that replays a step compares them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar, cast
from uuid import UUID

from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import ChildMachine, Deferred, PendingSend, Running, Snapshot, Status, Stopping, Undoable
from durable_fsm.core.values import Json
from durable_fsm.errors import SnapshotUnreadable

FORMAT = 1
"""Version of the snapshot's own layout. A build reads its own and every older one."""

MILLISECOND = timedelta(milliseconds=1)

T = TypeVar("T")

_PLAIN = frozenset((str, int, bool, type(None)))


def plain(value: object) -> Json:
    """Reduce *value* to plain JSON: models and dataclasses to objects, sets to sorted lists, dates to ISO 8601.

    Durations become seconds.

    Raises:
        TypeError: something in it has no form in JSON.
    """
    kind = type(value)
    if kind in _PLAIN:
        return cast("Json", value)
    if kind is dict:
        return _plain_members(cast("dict[object, object]", value))
    if kind is list:
        return [plain(item) for item in cast("list[object]", value)]
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            if value != value or value in (float("inf"), float("-inf")):
                raise TypeError(f"{value} has no form in JSON")
            return value
        case Mapping():
            return _plain_members(cast("Mapping[object, object]", value))
        case list() | tuple():
            return [plain(item) for item in cast("list[object]", value)]
        case AbstractSet():
            return sorted((plain(item) for item in cast("AbstractSet[object]", value)), key=canonical)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Decimal() | PurePath():
            return str(value)
        case _:
            return _plain_object(value)


def _plain_members(members: Mapping[object, object]) -> dict[str, Json]:
    record: dict[str, Json] = {}
    for key, member in members.items():
        name = key if type(key) is str else _name(key)
        if name in record:
            raise TypeError(f"two members would have the name '{name}'")
        record[name] = plain(member)
    return record


def _name(name: object) -> str:
    plain_name = plain(name)
    if isinstance(plain_name, str):
        return plain_name
    if isinstance(plain_name, bool) or not isinstance(plain_name, int | float):
        raise TypeError(f"{name!r} cannot be the name of a JSON member")
    return str(plain_name)


def _plain_object(value: object) -> Json:
    dump = getattr(value, "model_dump", None)  # pydantic's protocol, met without importing it
    if callable(dump):
        return plain(cast("Callable[[], object]", dump)())
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Json) -> str:
    """The one JSON text of *value*: members sorted, no spaces, no escapes that are not needed."""
    return _encode(value)


def milliseconds(duration: timedelta) -> int:
    """Whole milliseconds, rounded up: a timer may be late, never early."""
    return -(-duration // MILLISECOND)


def snapshot_to_json(snapshot: Snapshot) -> dict[str, Json]:
    """The snapshot as plain JSON; what is optional and empty is left out."""
    record: dict[str, Json] = {
        "format": FORMAT,
        "chart": snapshot.chart,
        "version": snapshot.version,
        "digest": snapshot.digest,
        "configuration": list(snapshot.configuration),
        "data": snapshot.data,
        "seq": snapshot.seq,
        "status": snapshot.status.value,
    }
    members = vars(snapshot)
    for name, written in _OPTIONAL.items():
        if value := members[name]:
            record[name] = written(value)
    if snapshot.output is not None:
        record["output"] = snapshot.output
    return record


def _each(written: Callable[[Any], Json]) -> Callable[[Any], Json]:  # Any: the type of a member is its writer's
    return lambda items: [written(item) for item in items]


def _names(record: Mapping[str, tuple[str, ...]]) -> Json:
    return {id: list(names) for id, names in record.items()}


def failure_to_json(failure: Failure) -> dict[str, Json]:
    """The failure as plain JSON; `failure_from_json` reads it back."""
    record: dict[str, Json] = {
        "type": failure.type,
        "message": failure.message,
        "code": failure.code,
        "metadata": failure.metadata,
        "source": failure.source,
    }
    return {name: value for name, value in record.items() if value is not None}


def _timer_to_json(timer: PendingSend) -> dict[str, Json]:
    record: dict[str, Json] = {
        "token": timer.token,
        "event": timer.event,
        "after_ms": milliseconds(timer.after),
        "state": timer.state,
        "id": timer.id,
        "payload": timer.payload,
        "activity": timer.activity,
        "to": timer.to,
        "at": timer.at.isoformat() if timer.at else None,
    }
    return {name: value for name, value in record.items() if value is not None}


def _activity_to_json(running: Running) -> dict[str, Json]:
    record: dict[str, Json] = {
        "token": running.token,
        "id": running.id,
        "state": running.state,
        "entry": running.entry,
    }
    if running.parked:
        record["parked"] = True
    if running.failed:
        record["failed"] = True
    if running.waiting:
        record["waiting"] = True
    if running.undone:
        record["undone"] = list(running.undone)
    return record


def _undoable_to_json(done: Undoable) -> Json:
    record: dict[str, Json] = {"token": done.token, "id": done.id, "state": done.state, "entry": done.entry}
    if done.result is not None:
        record["result"] = done.result
    if done.undoing:
        record["undoing"] = done.undoing
    return record


def _stopping_to_json(stopping: Stopping) -> Json:
    record: dict[str, Json] = {
        "token": stopping.token,
        "id": stopping.id,
        "state": stopping.state,
        "entry": stopping.entry,
    }
    if stopping.overdue:
        record["overdue"] = True
    return record


def _deferred_to_json(kept: Deferred) -> Json:
    return {"token": kept.token, "event": kept.event, "payload": kept.payload}


def _child_to_json(child: ChildMachine) -> Json:
    record: dict[str, Json] = {
        "token": child.token,
        "id": child.id,
        "chart": child.chart,
        "state": child.state,
        "place": child.place,
    }
    if child.part is not None:
        record["part"] = child.part
    if child.ended:
        record["result"] = child.result
    return record


_OPTIONAL: dict[str, Callable[[Any], Json]] = {  # Any: see `_each`
    "life": str,
    "history": _names,
    "timers": _each(_timer_to_json),
    "activities": _each(_activity_to_json),
    "machines": _each(_child_to_json),
    "parent": str,
    "deferred": _each(_deferred_to_json),
    "over": _names,
    "undo": _each(_undoable_to_json),
    "stopping": _each(_stopping_to_json),
    "failure": failure_to_json,
    "created_from": str,
}
"""How those members of a snapshot are written that are left out where they are empty."""


MEMBERS = ("format", "chart", "version", "digest", "configuration", "data", "seq", "status", "output", *_OPTIONAL)
"""All members that a stored snapshot may have."""

_BLANK = Snapshot("", "", "", "", (), None)


class _Unreadable(ValueError):
    """What is wrong with a stored record; becomes SnapshotUnreadable."""


def snapshot_from_json(chart: Chart, record: Json) -> Snapshot:
    """Read a stored snapshot; the reverse of `snapshot_to_json`.

    Raises:
        SnapshotUnreadable: it is no snapshot, one of another chart, or one of a later format.
    """
    try:
        return _snapshot_from_json(chart, record)
    except _Unreadable as error:
        raise SnapshotUnreadable(chart=chart.name, problem=str(error)) from error


_STATUSES = {status.value: status for status in Status}
_HAVE_FAILURE = {Status.RUNNING: (False,), Status.DONE: (False, True), Status.FAILED: (True,)}


def _snapshot_from_json(chart: Chart, record: Json) -> Snapshot:
    members = _object(record)
    format = _get(members, "format", int)
    if not 1 <= format <= FORMAT:
        raise _Unreadable(f"its format is {format}; this build reads up to {FORMAT}.")
    if members.get("chart") != chart.name:
        raise _Unreadable(f"it belongs to chart {canonical(members.get('chart'))}.")
    status = _status(_get(members, "status", str))
    if ("failure" in members) not in _HAVE_FAILURE[status]:
        raise _Unreadable(f"its status is '{status}', which does not go with its failure.")
    return _BLANK.changed(
        chart=chart.name,
        version=_get(members, "version", str),
        digest=_get(members, "digest", str),
        life=_get(members, "life", str, default=""),
        configuration=_strings(members.get("configuration")),
        data=members.get("data"),
        seq=_get(members, "seq", int),
        status=status,
        output=members.get("output"),
        **{name: read(_get(members, name, type_)) for name, (type_, read) in _READERS.items() if name in members},
    )


def failure_from_json(record: Mapping[str, Json]) -> Failure:
    """Read what `failure_to_json` wrote.

    Raises:
        ValueError: it is no such record.
    """
    return Failure(
        type=_get(record, "type", str),
        message=_get(record, "message", str),
        code=_get(record, "code", int, default=None),
        metadata=record.get("metadata"),
        source=_get(record, "source", str, default=""),
    )


def _status(name: str) -> Status:
    status = _STATUSES.get(name)
    if status is None:
        raise _Unreadable(f"'status' is {canonical(name)}.")
    return status


def _timer_from_json(record: Json) -> PendingSend:
    fields = _object(record)
    return PendingSend(
        token=_get(fields, "token", str),
        event=_get(fields, "event", str),
        after=_duration(_get(fields, "after_ms", int)),
        state=_get(fields, "state", str, default=None),
        id=_get(fields, "id", str, default=None),
        payload=fields.get("payload"),
        activity=_get(fields, "activity", str, default=None),
        to=_get(fields, "to", str, default=None),
        at=_instant(_get(fields, "at", str, default=None)),
    )


def _activity_from_json(record: Json) -> Running:
    fields = _object(record)
    return Running(
        token=_get(fields, "token", str),
        id=_get(fields, "id", str),
        state=None if fields.get("state", "") is None else _get(fields, "state", str),
        entry=_get(fields, "entry", int),
        parked=_get(fields, "parked", bool, default=False),
        failed=_get(fields, "failed", bool, default=False),
        waiting=_get(fields, "waiting", bool, default=False),
        undone=_strings(fields["undone"]) if "undone" in fields else (),
    )


def _undoable_from_json(record: Json) -> Undoable:
    fields = _object(record)
    return Undoable(
        token=_get(fields, "token", str),
        id=_get(fields, "id", str),
        state=_get(fields, "state", str),
        entry=_get(fields, "entry", int),
        result=fields.get("result"),
        undoing=_get(fields, "undoing", str, default=""),
    )


def _stopping_from_json(record: Json) -> Stopping:
    fields = _object(record)
    return Stopping(
        token=_get(fields, "token", str),
        id=_get(fields, "id", str),
        state=_get(fields, "state", str),
        entry=_get(fields, "entry", int),
        overdue=_get(fields, "overdue", bool, default=False),
    )


def _deferred_from_json(record: Json) -> Deferred:
    fields = _object(record)
    return Deferred(_get(fields, "token", str), _get(fields, "event", str), fields.get("payload"))


def _child_from_json(record: Json) -> ChildMachine:
    fields = _object(record)
    return ChildMachine(
        token=_get(fields, "token", str),
        id=_get(fields, "id", str),
        chart=_get(fields, "chart", str),
        state=_get(fields, "state", str),
        place=_get(fields, "place", int),
        part=_get(fields, "part", int, default=None),
        ended="result" in fields,
        result=fields.get("result"),
    )


def _all(read: Callable[[Json], T]) -> Callable[[Any], tuple[T, ...]]:  # Any: see `_each`
    return lambda records: tuple(read(record) for record in records)


def _all_strings(record: dict[str, Json]) -> dict[str, tuple[str, ...]]:
    return {id: _strings(names) for id, names in record.items()}


_READERS: dict[str, tuple[type[Any], Callable[[Any], Any]]] = {  # Any: see `_each`
    "history": (dict, _all_strings),
    "timers": (list, _all(_timer_from_json)),
    "activities": (list, _all(_activity_from_json)),
    "failure": (dict, failure_from_json),
    "created_from": (str, str),
    "machines": (list, _all(_child_from_json)),
    "parent": (str, str),
    "deferred": (list, _all(_deferred_from_json)),
    "over": (dict, _all_strings),
    "undo": (list, _all(_undoable_from_json)),
    "stopping": (list, _all(_stopping_from_json)),
}
"""The JSON types of those members of a snapshot that may not be there, and what is made of them."""


def _duration(after_ms: int) -> timedelta:
    try:
        return timedelta(milliseconds=after_ms)
    except OverflowError as error:
        raise _Unreadable(f"'after_ms' is {after_ms}.") from error


def _instant(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text is not None else None
    except ValueError as error:
        raise _Unreadable(f"'at' is {canonical(text)}.") from error


def _object(record: Json) -> dict[str, Json]:
    if not isinstance(record, dict):
        raise _Unreadable(f"expected an object, got {canonical(record)}.")
    return record


def _strings(record: Json) -> tuple[str, ...]:
    if not isinstance(record, list) or not all(isinstance(item, str) for item in record):
        raise _Unreadable(f"expected a list of strings, got {canonical(record)}.")
    return tuple(cast("list[str]", record))


_REQUIRED: Any = object()  # Any: stands in for a default of whatever type the caller reads


def _get(record: Mapping[str, Json], name: str, type_: type[Any], *, default: Any = _REQUIRED) -> Any:
    """The member *name*, checked against *type_*; `Any`, because no signature relates the two."""
    value = record.get(name, default)
    if value is _REQUIRED:
        raise _Unreadable(f"it has no '{name}'.")
    if type(value) is type_ or value is default:
        return value
    raise _Unreadable(f"'{name}' is {canonical(value)}.")

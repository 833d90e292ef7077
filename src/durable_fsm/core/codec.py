"""Values and snapshots as JSON, and back.

The text is canonical: keys and sets are sorted, so that the same machine gives the same bytes under any hash seed. A
platform that replays a step compares them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from math import isfinite
from operator import attrgetter
from pathlib import PurePath
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec

from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import FORMAT, Snapshot, Status
from durable_fsm.core.values import Json
from durable_fsm.errors import SnapshotUnreadable

MILLISECOND = timedelta(milliseconds=1)

S = TypeVar("S", bound=Snapshot)

MAX_DEPTH = 100
"""Deepest nesting of a value; what reads and writes it is recursive, and would fail at a depth of its own."""

TOO_DEEP = f"it is nested more than {MAX_DEPTH} levels deep"

SCALARS = frozenset((str, int, bool, type(None)))


def plain(value: object) -> Json:
    """Reduce *value* to plain JSON: models and dataclasses to objects, sets to sorted lists, dates to ISO 8601.

    Durations become seconds.

    Raises:
        TypeError: something in it has no form in JSON, or it is nested more than `MAX_DEPTH` levels deep.
    """
    if type(value) in SCALARS:
        return cast("Json", value)
    try:
        return _plain(value, MAX_DEPTH)
    except TypeError as error:
        path = _place_of_fault(value)
        if path == "$":
            raise
        raise TypeError(f"{error} at {path}") from error


def _plain(value: object, levels: int) -> Json:
    kind = type(value)
    if kind in SCALARS:
        return cast("Json", value)
    if kind is dict:
        return _plain_members(cast("dict[object, object]", value), levels)
    if kind is list:
        return _plain_items(cast("list[object]", value), levels)
    if kind is float and isfinite(cast("float", value)):
        return cast("float", value)
    match value:
        case Enum():
            return _plain(value.value, levels)
        case None | bool() | int() | str():
            return value
        case float():
            if not isfinite(value):
                raise TypeError(f"{value} has no form in JSON")
            return value
        case Mapping():
            return _plain_members(cast("Mapping[object, object]", value), levels)
        case list() | tuple():
            return _plain_items(cast("Iterable[object]", value), levels)
        case AbstractSet():
            return sorted(_plain_items(cast("AbstractSet[object]", value), levels), key=canonical)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case UUID() | Decimal() | PurePath():
            return str(value)
        case _:
            return _plain(_parts_of(value), levels)


def _plain_items(items: Iterable[object], levels: int) -> list[Json]:
    if levels == 0:
        raise TypeError(TOO_DEEP)
    return [_plain(item, levels - 1) for item in items]


def _plain_members(members: Mapping[object, object], levels: int) -> dict[str, Json]:
    if levels == 0:
        raise TypeError(TOO_DEEP)
    record: dict[str, Json] = {}
    for key, member in members.items():
        name = key if type(key) is str else _name(key)
        if name in record:
            raise TypeError(f"two members would have the name '{name}'")
        record[name] = _plain(member, levels - 1)
    return record


def _name(name: object) -> str:
    plain_name = plain(name)
    if isinstance(plain_name, str):
        return plain_name
    if isinstance(plain_name, bool) or not isinstance(plain_name, int | float):
        raise TypeError(f"{name!r} cannot be the name of a JSON member")
    return str(plain_name)


def _parts_of(value: object) -> dict[str, object]:
    """The members of an object, as they are."""
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    dump = getattr(value, "model_dump", None)  # pydantic's protocol, met without importing it
    if callable(dump):
        return cast("dict[str, object]", dump(by_alias=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _place_of_fault(value: object, path: str = "$") -> str:
    """The path of the first part without a form in JSON; for a value that is nested too deeply, its own."""
    parts: list[tuple[str, object]] = []
    if isinstance(value, Mapping):
        parts = [(f".{name}", member) for name, member in cast("Mapping[object, object]", value).items()]
    elif isinstance(value, list | tuple):
        parts = [(f"[{place}]", item) for place, item in enumerate(cast("list[object]", value))]
    for step, part in parts:
        try:
            _plain(part, MAX_DEPTH)
        except TypeError as error:
            return "$" if str(error) == TOO_DEEP else _place_of_fault(part, f"{path}{step}")
    return path


_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def canonical(value: Json) -> str:
    """The one JSON text of *value*: members sorted, no spaces, no escapes that are not needed."""
    return _encode(value)


def milliseconds(duration: timedelta) -> int:
    """Whole milliseconds, rounded up: a timer may be late, never early."""
    return -(-duration // MILLISECOND)


def rounded_up(duration: timedelta) -> timedelta:
    """The duration in whole milliseconds, which is what the platform counts in."""
    return timedelta(milliseconds=milliseconds(duration))


# ── snapshots and failures ────────────────────────────────────────────────────────────────────────────────────────────


def as_builtin(value: object) -> object:
    """Write a text or a number of an author's own class as the built-in that it extends; msgspec's `enc_hook`.

    Raises:
        TypeError: it has no form in JSON.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def snapshot_to_json(snapshot: Snapshot) -> dict[str, Json]:
    """The snapshot as plain JSON; members that have their default are left out."""
    return _as_json(snapshot)


def failure_to_json(failure: Failure) -> dict[str, Json]:
    """The failure as plain JSON; `failure_from_json` reads it back."""
    return _as_json(failure)


def _as_json(value: msgspec.Struct) -> dict[str, Json]:
    return cast("dict[str, Json]", msgspec.json.decode(_to_text(value)))


_to_text = msgspec.json.Encoder(enc_hook=as_builtin).encode


def failure_from_json(record: Mapping[str, Json]) -> Failure:
    """Read the JSON of a failure.

    Raises:
        ValueError: it is something else.
    """
    return msgspec.convert(record, Failure)


def snapshot_from_json(chart: Chart, record: Json) -> Snapshot:
    """Read a snapshot from plain JSON; the reverse of `snapshot_to_json`.

    Raises:
        SnapshotUnreadable: it is not a snapshot, belongs to another chart, or has a later format.
    """
    try:
        return _checked(chart.name, msgspec.convert(record, Snapshot))
    except msgspec.ValidationError as error:
        raise _unreadable(chart.name, str(error)) from error


def snapshot_from_text(chart: str, text: bytes, layout: type[S]) -> S:
    """Read a stored snapshot; *layout* is `Snapshot`, or a struct that adds what a host stores among its members.

    Raises:
        SnapshotUnreadable: it is not a snapshot, belongs to another chart, or has a later format.
    """
    try:
        found: S = _decoder(layout).decode(text)
    except msgspec.ValidationError as error:
        raise _unreadable(chart, str(error)) from error
    except (ValueError, RecursionError) as error:  # malformed JSON, bytes that are not UTF-8, or too deep nesting
        raise _unreadable(chart, f"it is not valid JSON: {str(error).removesuffix('.')}") from error
    return _checked(chart, found)


# msgspec reads the annotations of a struct when it is first decoded, and two threads that do so at once crash the process
# (ran, 0.22.0: segmentation fault). Here that is while this module is imported, which one thread does.
_READ_BY_ONE_THREAD = msgspec.json.Decoder(Snapshot)


@cache
def _decoder(layout: type[S]) -> msgspec.json.Decoder[S]:
    return msgspec.json.Decoder(layout)


members_of: Callable[[Snapshot], tuple[Any, ...]] = attrgetter(*Snapshot.__struct_fields__)
"""The values of a snapshot's members, in their order. A host makes its own record of them, and a snapshot of that."""

_HAVE_FAILURE = {Status.RUNNING: (False,), Status.DONE: (False, True), Status.FAILED: (True,)}


def _checked(chart: str, snapshot: S) -> S:
    if snapshot.chart != chart:
        raise _unreadable(chart, f"it belongs to chart '{snapshot.chart}'")
    if (snapshot.failure is not None) not in _HAVE_FAILURE[snapshot.status]:
        raise _unreadable(chart, f"its status is '{snapshot.status}', which does not go with its failure")
    return snapshot


def _unreadable(chart: str, problem: str) -> SnapshotUnreadable:
    if problem.endswith("`$.format`"):
        problem = f"{problem}; this build reads format {FORMAT}"
    return SnapshotUnreadable(chart=chart, problem=f"{problem}.")

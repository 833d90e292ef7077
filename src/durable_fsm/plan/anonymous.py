"""Stored machines without their values: for tests that a repository keeps, which must not contain data of customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, cast

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json

MOST = 200
"""Values that are replaced one by one; a machine with more keeps none of what does not matter."""

HIDDEN = ("data", "timers", "deferred", "undo", "output", "answer", "failure", "machines", "created_from")
"""Members of a snapshot that may contain values."""

NAMES = (
    "token",
    "event",
    "state",
    "id",
    "chart",
    "activity",
    "to",
    "type",
    "entry",
    "after_ms",
    "at",
    "place",
    "part",
    "name",
)
"""Members of these that do not come from a customer."""

Place = tuple[Any, Any]  # a list or an object, and the place in it


def anonymised(chart: Chart, machine: Snapshot, is_same: Callable[[Snapshot], bool]) -> Snapshot | None:
    """The machine with made-up values in place of its own, wherever *is_same* says that its fate does not change.

    A value that matters is kept, unless the chart redacts its member: then there is no such machine, None.
    """
    record: Any = deepcopy(snapshot_to_json(machine))
    record.pop("created_from", None)
    places = list(_places(record))
    originals = [container[at] for container, at in places]
    for (container, at), value in zip(places, originals, strict=True):
        container[at] = _other(value)
    if not is_same(_read(chart, record)):
        if len(places) > MOST:
            return None
        for (container, at), value in zip(places, originals, strict=True):
            container[at] = value
        for (container, at), value in zip(places, originals, strict=True):
            container[at] = _other(value)
            if not is_same(_read(chart, record)):
                container[at] = value
    found = _read(chart, record)
    # All that the chart redacts must be gone, also where it decides.
    hidden = chart.redaction.texts([machine.data, *(kept.payload for kept in machine.deferred)])
    left = set(_texts(snapshot_to_json(found)["data"])) if hidden else set[str]()
    return None if left & set(hidden) - set(_invented_texts()) else found


def _read(chart: Chart, record: Json) -> Snapshot:
    return snapshot_from_json(chart, record)


def _places(record: dict[str, Any]) -> Iterator[Place]:
    for name in HIDDEN:
        value = record.get(name)
        if name == "data" or not isinstance(value, list):
            yield from _within(record, name) if name in record else ()
            continue
        for part in cast("list[dict[str, Any]]", value):
            for member in part:
                if member not in NAMES:
                    yield from _within(part, member)


def _within(container: Any, at: Any) -> Iterator[Place]:  # Any: JSON
    value = container[at]
    if isinstance(value, dict):
        for name in cast("dict[str, Any]", value):
            yield from _within(cast("Any", value), name)
    elif isinstance(value, list):
        for place in range(len(cast("tuple[Any, ...]", value))):
            yield from _within(cast("Any", value), place)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield container, at


def _other(value: Any) -> Any:  # Any: a scalar of JSON
    match value:
        case str():
            return "text" if value else ""
        case int():
            return 1 if value else 0
        case _:
            return 1.0


def _invented_texts() -> Iterator[str]:
    yield from ("text", "1", "1.0", "0")


def _texts(value: Any) -> Iterator[str]:  # Any: JSON
    if isinstance(value, dict):
        for member in cast("dict[str, Any]", value).values():
            yield from _texts(member)
    elif isinstance(value, list):
        for item in cast("tuple[Any, ...]", value):
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)

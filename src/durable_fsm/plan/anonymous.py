"""Stored machines without their values: for tests that a repository keeps, which must not contain data of customers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any, cast

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import snapshot_from_json, snapshot_to_json
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.errors import SnapshotUnreadable

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


def anonymised(
    chart: Chart, machine: Snapshot, is_same: Callable[[Snapshot], bool], old: Chart | None = None
) -> Snapshot | None:
    """The machine with made-up values in place of its own, wherever *is_same* says that its fate does not change.

    A value that matters is kept, unless the chart redacts its member: then there is no such machine, None. Names inside of a
    value may come from customers, too, as in `{"ann@example.com": 3}`: those that neither chart declares are made up.
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
    declared = {name for one in (chart, old) if one is not None for name in _members_of(one)}
    renamed = [(inner, {**inner}) for inner in _objects_in(record) if not declared.issuperset(inner)]
    for inner, before in renamed:
        _fill(inner, _renamed(before, declared))
    if renamed and not _is_readable(chart, record, is_same):
        if len(renamed) > MOST:
            return None
        for inner, before in renamed:
            _fill(inner, before)
        for inner, before in renamed:
            _fill(inner, _renamed(before, declared))
            if not _is_readable(chart, record, is_same):
                _fill(inner, before)
    found = _read(chart, record)
    # All that the chart redacts must be gone, also where it decides.
    hidden = chart.redaction.texts([machine.data, *(kept.payload for kept in machine.deferred)])
    left = set(_texts(snapshot_to_json(found)["data"])) if hidden else set[str]()
    return None if left & set(hidden) - set(_invented_texts()) else found


def _read(chart: Chart, record: Json) -> Snapshot:
    return snapshot_from_json(chart, record)


def _is_readable(chart: Chart, record: Json, is_same: Callable[[Snapshot], bool]) -> bool:
    """Whether it is still the same. It cannot be read any more if a name was one of ours."""
    try:
        return is_same(_read(chart, record))
    except SnapshotUnreadable:
        return False


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


def _objects_in(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects inside of values; the members of a value itself have the author's names."""
    for name in HIDDEN:
        value: Any = record.get(name)
        is_list = isinstance(value, list) and name != "data"
        parts = cast("list[dict[str, Any]]", value if is_list else [{name: value}])
        for part in parts:
            for member, content in part.items():
                if member not in NAMES:
                    yield from _inside(content)


def _inside(value: Any) -> Iterator[dict[str, Any]]:  # Any: JSON
    items = cast("dict[str, Any]", value).values() if isinstance(value, dict) else value
    for item in cast("list[Any]", items) if isinstance(value, dict | list | tuple) else ():
        if isinstance(item, dict):
            yield cast("dict[str, Any]", item)
        yield from _inside(item)


def _renamed(members: dict[str, Any], declared: set[str]) -> dict[str, Any]:
    return {name if name in declared else f"name {n}": value for n, (name, value) in enumerate(members.items(), 1)}


def _fill(inner: dict[str, Any], members: dict[str, Any]) -> None:
    inner.clear()
    inner.update(members)


def _members_of(chart: Chart) -> Iterator[str]:
    """The names of members that a chart declares, in its data and in the payloads of its events."""
    types = [chart.data, *(event.payload for event in chart.events.values())]
    yield from (name for one in types if one is not None for name in _properties_in(one.schema()))


def _properties_in(schema: Any) -> Iterator[str]:  # Any: JSON
    if isinstance(schema, dict):
        known = cast("dict[str, Any]", schema)
        properties = known.get("properties")
        yield from cast("dict[str, Any]", properties) if isinstance(properties, dict) else ()
        for inner in known.values():
            yield from _properties_in(inner)
    elif isinstance(schema, list):
        for inner in cast("tuple[Any, ...]", schema):
            yield from _properties_in(inner)


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

"""Charts as JSON that another process reads back: to draw, compare and list them, without the author's code.

Such a chart has the names of its callbacks, and everything else that shows. It is drawn as the original is, and has the
same digest. It cannot run: a callback that is called fails with `NoCode`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from typing import Any, NoReturn, Union, cast, get_args, get_origin, get_type_hints

from durable_fsm.core.chart import (
    Activity,
    Callback,
    Chart,
    Child,
    Each,
    EventType,
    Guard,
    HostedBehaviour,
    Hosting,
    Policies,
    State,
    Transition,
)
from durable_fsm.core.values import Completed, Json

FORMAT = 1
"""The number of this form. A reader refuses one that it does not know."""


class NoCode(RuntimeError):
    """A chart that was read from JSON was asked to run."""


class UnknownFormat(ValueError):
    """JSON that is not a chart of a known format."""


def chart_to_json(chart: Chart) -> dict[str, Json]:
    """The chart as JSON, with what operators and other programs have to know of its hosting."""
    children: list[Json] = [
        [state.id, number, child.id, child.chart.name if child.chart is not None else None]
        for state in chart.states.values()
        for number, child in enumerate(state.machines)
    ]
    hosting = chart.hosting
    return {
        "format": FORMAT,
        "chart": chart.to_json(),
        "children": children,
        "redact": [*hosting.redact],
        "operators_only": [*hosting.operators_only],
        "kept": [kept.version for kept in chart.kept],
        "migrations": [[one.source, one.to] for one in hosting.migrations],
    }


def chart_from_json(document: Json) -> Chart:
    """The chart that `chart_to_json` has written.

    Raises:
        UnknownFormat: it is not one, or of a format that this build does not know.
    """
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        found = document.get("format") if isinstance(document, dict) else document
        raise UnknownFormat(f"expected a chart of format {FORMAT}, and not {found!r:.80}")
    try:
        return _chart(cast("dict[str, Any]", document))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise UnknownFormat(f"this is not a chart of format {FORMAT}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class SchemaOnly:
    """A type of data or of a payload of which only the schema is known."""

    shown: dict[str, Json] | None
    name: str = "JSON"

    def load(self, stored: Json) -> object:
        return stored

    def dump(self, value: object) -> Json:
        return cast("Json", value)

    def completed(self, given: Json) -> Completed | None:
        return None

    def schema(self) -> dict[str, Json] | None:
        return self.shown


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _chart(document: dict[str, Any]) -> Chart:  # Any: JSON of a known form
    shown = document["chart"]
    behaviour = {
        name: value
        for name, value in ({**shown, **shown["policies"]}).items()
        if name in {spec.name for spec in fields(HostedBehaviour)}
    }
    hosted = {name: _read(_hints(Hosting)[name], value) for name, value in behaviour.items()}
    policies = {
        spec.name: _read(_hints(Policies)[spec.name], shown["policies"][spec.name]) for spec in fields(Policies)
    }
    states: dict[str, State] = {state["id"]: _read(State, state) for state in shown["states"]}
    for state, number, id, _ in cast("list[tuple[str, int, str, str | None]]", document["children"]):
        object.__setattr__(states[state].machines[number], "id", id)  # still ours alone
    return Chart(
        name=shown["name"],
        version=shown["version"],
        doc=shown["doc"],
        states=states,
        transitions=_read(tuple[Transition, ...], shown["transitions"]),
        events={event["name"]: _event(event) for event in shown["events"]},
        data=SchemaOnly(shown["data"]),
        policies=Policies(**policies),
        work=_read(tuple[Activity, ...], shown.get("work", [])),
        hosting=Hosting(**hosted, redact=tuple(document["redact"]), operators_only=tuple(document["operators_only"])),
    )


def _event(event: dict[str, Any]) -> EventType:  # Any: JSON of a known form
    payload = None if event["payload"] is None else SchemaOnly(event["payload"])
    return EventType(event["name"], payload, event["public"], event["doc"])


def _read(kind: Any, value: Any) -> Any:  # Any: types as Python has them, and JSON of a known form
    """A part of a chart from its JSON, which `export` has made of a value of this type."""
    if kind is Callback:
        return Callback(value, _no_code(value))
    if kind is Guard:
        return Guard(value.removeprefix("!"), _no_code(value), negated=value.startswith("!"))
    if kind is Child:
        finalize = _read(tuple[Callback, ...], value["finalize"])
        each, on_demand = _read(Each | None, value.get("each")), value.get("on_demand", False)
        name = value["name"]
        return Child(name, _no_code(name), None, value["autoforward"], finalize, each=each, on_demand=on_demand)
    if kind is timedelta:
        return timedelta(seconds=float(value.removesuffix(" s")))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if _is_record(kind):
        return _record(kind, value)
    return _generic(kind, value)


def _generic(kind: Any, value: Any) -> Any:  # Any: as `_read`
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(_chosen(arguments, value), value)
    if origin is tuple:
        return tuple(_read(arguments[0], item) for item in value)
    if origin is frozenset:
        return frozenset(value)
    if origin is type:
        return type(value.rpartition(".")[2], arguments, {"__qualname__": value})
    return value


def _chosen(kinds: tuple[Any, ...], value: Any) -> Any:  # Any: as `_read`
    """The type of a union that has this JSON: an object is a record, and a text a callback, if there is one."""
    if isinstance(value, dict):
        return next(kind for kind in kinds if _is_record(kind) and kind is not Callback)
    if isinstance(value, str) and Callback in kinds:
        return Callback
    return next(kind for kind in kinds if not _is_record(kind))


def _is_record(kind: Any) -> bool:  # Any: as `_read`
    return is_dataclass(kind)


def _record(kind: Any, value: Mapping[str, Any]) -> Any:  # Any: as `_read`
    hints = _hints(kind)
    return kind(
        **{
            spec.name: _read(hints[spec.name], value[spec.name]) if spec.name in value else _absent(spec, value)
            for spec in fields(kind)
            if spec.name in value or _is_required(spec)
        }
    )


def _is_required(spec: Field[Any]) -> bool:  # Any: any field
    return spec.default is MISSING and spec.default_factory is MISSING


def _absent(spec: Field[Any], value: Mapping[str, Any]) -> Callable[..., NoReturn]:  # Any: any field
    return _no_code(str(value.get("name", spec.name)))


def _no_code(name: str) -> Callable[..., NoReturn]:
    """A function in place of the author's."""

    def call(*_: object) -> NoReturn:
        raise NoCode(f"'{name}' has a name here, and no code: this chart was read from JSON")

    return call


@cache
def _hints(kind: type) -> dict[str, Any]:  # Any: types as Python has them
    return get_type_hints(kind)

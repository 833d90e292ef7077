"""What an activity receives instead of the data: `activity(..., input=...)`, read once when the chart is made."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, cast

from durable_fsm.core.model import Callback, Json, ValueType
from durable_fsm.frontends.arguments import Report, written
from durable_fsm.frontends.declare import Input
from durable_fsm.frontends.purity import REMEDIES, faults


def input_of(declared: Input | None) -> Callback | None:
    """The declaration as a callback of the step: a field, several of them by name, or a function of the data."""
    if declared is None:
        return None
    if callable(declared):
        make = declared
        return Callback(getattr(make, "__name__", type(make).__name__), lambda scope: make(scope.data), written(make))
    if isinstance(declared, str):
        field = declared
        return Callback(field, lambda scope: _member(scope.data, field))
    names = declared
    return Callback(", ".join(names), lambda scope: {name: _member(scope.data, name) for name in names})


def refuse_impure(activity: str, declared: Input | None, problem: Report) -> None:
    """Report what a step could not repeat."""
    if not callable(declared):
        return
    name, place = getattr(declared, "__qualname__", repr(declared)), written(declared)
    if inspect.iscoroutinefunction(declared):
        what = f"input of activity '{activity}' is a coroutine: {name}."
        problem(what, "Make it a plain function of the data; the outside work is the activity's.", place)
    for fault, call in faults(declared):
        problem(f"input of activity '{activity}' {fault}: {call}.", REMEDIES[fault], place)


def refuse_unknown(declared: Mapping[str, Input | None], data: ValueType | None, problem: Report) -> None:
    """Report fields that the data does not have, by activity; a type that does not say its fields has any."""
    known = _known(data)
    if known is None:
        return
    for activity, input in declared.items():
        if input is None or callable(input):
            continue
        for name in (input,) if isinstance(input, str) else input:
            if name not in known:
                what = f"input of activity '{activity}' is '{name}', which is no field of the data."
                problem(what, f"It has: {', '.join(sorted(known)) or 'none'}.", None)


def _known(data: ValueType | None) -> frozenset[str] | None:
    """Names of the data's fields and properties; None if any name may be one."""
    if data is None:
        return None
    schema = data.schema()
    if schema is None:
        try:
            return frozenset(vars(data.load({})))
        except Exception:  # noqa: BLE001 - the author's own __init__ may raise anything; then the step will tell
            return None
    reference = schema.get("$ref")
    if isinstance(reference, str):
        definitions = cast("dict[str, dict[str, Json]]", schema["$defs"])
        schema = definitions[reference.removeprefix("#/$defs/")]
    properties = schema.get("properties")
    if not isinstance(properties, dict) or schema.get("additionalProperties"):
        return None
    declared: Any = getattr(data, "declared", None)  # Any: a class of the author's
    fields: Mapping[str, object] = getattr(declared, "model_fields", {})  # which an alias hides in the schema
    classes: tuple[type, ...] = getattr(declared, "__mro__", ())
    own = {name for cls in classes for name, item in vars(cls).items() if _is_property(item)}
    return frozenset({*properties, *fields, *own})


def _is_property(item: object) -> bool:
    return isinstance(item, property) or hasattr(item, "func")  # cached_property


def _member(data: object, name: str) -> object:
    if isinstance(data, Mapping):
        return cast("Mapping[str, object]", data)[name]
    return cast("object", getattr(data, name))

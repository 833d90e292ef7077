"""Read and check `activity(..., input=...)`: the part of the data that an activity or a machine receives."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol, cast

from durable_fsm.core.chart import Callback
from durable_fsm.core.values import Json, ValueType
from durable_fsm.frontends.arguments import Report, written
from durable_fsm.frontends.checks.purity import REMEDIES, faults
from durable_fsm.frontends.declare import ActivityOf, Input, Items


def input_of(declared: Input | None) -> Callback | None:
    """The declaration as a callback: one field, several fields as an object, or a function of the data."""
    if declared is None:
        return None
    if callable(declared):
        make = declared
        return Callback(getattr(make, "__name__", type(make).__name__), lambda scope: make(scope.data), written(make))
    if isinstance(declared, str):
        field = declared
        return Callback(field, lambda scope: member(scope.data, field))
    names = declared
    return Callback(", ".join(names), lambda scope: {name: member(scope.data, name) for name in names})


def refuse_impure(id: str, declared: Input | None, problem: Report, *, kind: str = "activity") -> None:
    """Report an input function that could give another result when the step runs again."""
    if not callable(declared):
        return
    name, place = getattr(declared, "__qualname__", repr(declared)), written(declared)
    if inspect.iscoroutinefunction(declared):
        what = f"input of {kind} '{id}' is a coroutine: {name}."
        work = "; the outside work is the activity's" if kind == "activity" else ""
        problem(what, f"Make it a plain function of the data{work}.", place)
    for fault, call in faults(declared):
        problem(f"input of {kind} '{id}' {fault}: {call}.", REMEDIES[fault], place)


def refuse_impure_items(id: str, each: Items | None, problem: Report, *, kind: str = "activity") -> None:
    """Report an `each=` function that could find other items when the step runs again."""
    if not callable(each):
        return
    if inspect.iscoroutinefunction(each):
        what = f"{kind} '{id}' computes its items in a coroutine; they must be computed at once, in the step."
        problem(what, "Make it a plain function of the data.", written(each))
    for fault, call in faults(each):
        problem(f"{kind} '{id}' {fault} to find its items: {call}.", REMEDIES[fault], written(each))


class Declared(Protocol):
    """An activity or a machine, which may receive a part of the data when it begins."""

    kind: str
    input: Input | None
    each: Items | None


def refuse_unknown(declared: Mapping[str, Declared], data: ValueType | None, problem: Report) -> None:
    """Report inputs, priorities and items that name fields which the data does not have; *declared* is by id."""
    known = members_of(data)
    for id, one in declared.items():
        for name in _fields(one.input):
            if known is not None and name not in known:
                what = f"input of {one.kind} '{id}' is '{name}', which is not a field of the data."
                problem(what, _has(known), None)
        priority = one.priority if isinstance(one, ActivityOf) else 0
        if isinstance(priority, str) and known is not None and priority not in known:
            what = f"priority of activity '{id}' is '{priority}', which is not a field of the data."
            problem(what, _has(known), None)
        received = _received(one.input, known)
        if isinstance(one.each, str) and received is not None and one.each not in received:
            what = f"{one.kind} '{id}' takes its items from '{one.each}', which is not a field of its input."
            problem(what, _has(received), None)


def _fields(input: Input | None) -> tuple[str, ...]:
    if input is None or callable(input):
        return ()
    return (input,) if isinstance(input, str) else tuple(input)


def _received(input: Input | None, known: frozenset[str] | None) -> frozenset[str] | None:
    """Names of the members that an activity with this input receives; None if they are not known."""
    if input is None:
        return known
    return None if isinstance(input, str) or callable(input) else frozenset(input)


def _has(known: frozenset[str]) -> str:
    return f"It has: {', '.join(sorted(known)) or 'none'}."


def members_of(data: ValueType | None) -> frozenset[str] | None:
    """Names of the fields and properties of data or a payload; None if its type does not list them."""
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
    authors = [cls for cls in classes if not cls.__module__.startswith("pydantic.")]
    own = {name for cls in authors for name, item in vars(cls).items() if _is_property(item)}
    return frozenset({*properties, *fields, *own})


def _is_property(item: object) -> bool:
    return isinstance(item, property) or hasattr(item, "func")  # cached_property


def member(data: object, name: str) -> object:
    """A field of the data, which may be a mapping."""
    if isinstance(data, Mapping):
        return cast("Mapping[str, object]", data)[name]
    return cast("object", getattr(data, name))

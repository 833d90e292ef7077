"""Names that callbacks of a chart mention: a private event that none of them mentions is never raised by the machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CodeType, FunctionType, MethodType
from typing import Any, cast

from durable_fsm.core.chart import Callback, Chart

DEPTH = 12
"""How many objects deep the author's function may lie inside what calls it."""

PACKAGE = __name__.partition(".")[0]


def mentioned_in(charts: Iterable[Chart]) -> frozenset[str]:
    """Every text and every name in the code of the charts' callbacks, and of functions of their modules that they call."""
    found: set[str] = set()
    seen: set[int] = set()
    for chart in charts:
        for callback in _callbacks(chart):
            _gather(callback.call, found, seen, DEPTH)
    return frozenset(found)


def _callbacks(chart: Chart) -> Iterator[Callback]:
    for state in chart.states.values():
        yield from (*state.entry, *state.exit, *state.done, *state.machines)
        for child in state.machines:
            yield from child.finalize
        for timer in state.timers:
            if timer.when is not None:
                yield timer.when
        if state.initial is not None:
            yield from state.initial.actions
    for edge in chart.transitions:
        yield from (*edge.guards, *edge.before, *edge.actions, *edge.after, *edge.validators)


def _gather(
    value: Any, found: set[str], seen: set[int], depth: int
) -> None:  # Any: whatever an author's code refers to
    if isinstance(value, str):
        found.add(value)
        return
    if depth == 0 or id(value) in seen or isinstance(value, (type, int, float, bytes, type(None))):
        return  # a class mentions every event that it declares
    seen.add(id(value))
    for part in _parts(value):
        _gather(part, found, seen, depth - 1)


def _parts(value: Any) -> Iterator[Any]:  # Any: as above
    match value:
        case FunctionType():
            words = set(_words(value.__code__))
            yield from words
            yield from (cell.cell_contents for cell in value.__closure__ or () if _is_full(cell))
            yield from value.__defaults__ or ()
            named = (value.__globals__.get(word) for word in words)
            # Functions of the author's own modules may raise events, too; those of libraries do not know them.
            yield from (other for other in named if isinstance(other, FunctionType) and _is_near(other, value))
        case MethodType():
            yield value.__func__
        case partial():
            yield from (value.func, *value.args, *value.keywords.values())
        case Mapping():
            yield from value.keys()
            yield from value.values()
        case tuple() | list() | set() | frozenset():
            yield from cast("Iterable[Any]", value)
        case _ if is_dataclass(value):
            yield from (getattr(value, spec.name, None) for spec in fields(value))
        case _ if type(value).__module__.startswith(PACKAGE):
            yield from getattr(value, "__dict__", dict[str, Any]()).values()
        case _:
            pass


def _words(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _words(constant)
        elif isinstance(constant, str):
            yield constant
        elif isinstance(constant, (tuple, frozenset)):
            yield from (one for one in cast("Iterable[object]", constant) if isinstance(one, str))


def _is_near(function: FunctionType, other: FunctionType) -> bool:
    return function.__module__.partition(".")[0] == other.__module__.partition(".")[0]


def _is_full(cell: Any) -> bool:  # Any: a cell of a closure, which may be empty
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False

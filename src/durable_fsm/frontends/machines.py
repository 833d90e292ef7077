"""Machines that a state runs, `invoke=machine(Parcel, each="parcels")`: how they are declared, read and checked."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from durable_fsm.core.address import chart_name
from durable_fsm.core.calls import checked
from durable_fsm.core.chart import Chart, Child, Join, Spawn
from durable_fsm.core.codec import plain
from durable_fsm.core.scope import Scope
from durable_fsm.core.values import Location, Misfit
from durable_fsm.frontends.arguments import Report, written
from durable_fsm.frontends.checks.inputs import input_of, refuse_impure, refuse_impure_items
from durable_fsm.frontends.declare import Input, Items, each_of

ReadChart = Callable[[object], Chart]
"""Reads a definition of any front-end. The readers get it as an argument, so that they do not import each other."""

# of this thread: another one may read the same definition meanwhile
_being_read: ContextVar[tuple[object, ...]] = ContextVar("being_read", default=())


class MachineOf:
    """A machine in a state's `invoke=`, made by `machine`."""

    kind = "machine"

    def __init__(
        self,
        definition: object,
        *,
        id: str | None,
        input: Input | None,
        each: Items | None,
        join: Join,
        on_demand: bool = False,
    ) -> None:
        self.definition = definition
        self.source: object = definition
        self.id = id
        self.input = input
        self.each = each
        self.join: Join = join
        self.on_demand = on_demand
        self.__name__ = chart_name(definition)

    def __call__(self) -> None:
        raise RuntimeError(f"machine '{self.__name__}' is run by a host, not by calling it")


# Any: the result goes into the library's own `invoke=`, which is untyped
@checked
def machine(
    definition: object,
    *,
    id: str | None = None,
    input: Input | None = None,
    each: Items | None = None,
    join: Join = "all",
    on_demand: bool = False,
) -> Any:
    """Declare a machine that a state runs: `shipping = State(invoke=machine(Parcel, input="parcel"))`.

    It starts with the state and is stopped when the state is left. Its end arrives as the event `done_invoke_<id>`,
    with its output as `result`, or `error_invoke_<id>`.

    Args:
        definition: a definition that `chart_from` reads.
        id: by default the id of the state. Messages to the machine are addressed to `#_<id>`.
        input: the data of the new machine: a field of the parent's data (`"parcel"`), several as an object
            (`("parcel", "address")`), or a plain function of the data. By default it starts with its own defaults.
        each: run one machine for each of these items, with the item as its data: the name of a list field, or a plain
            function of the data. All start together, and are called `<id>.0`, `<id>.1`, …; the result is the list of
            their outputs, in order.
        join: when they are done, as for `activity`: `"all"`, `"any"`, `"majority"`, a number, or `"settle"`.
        on_demand: start none with the state. Callbacks start them, each with data and a name: `effects.start(id, data,
            name="p-1")`. The end of each is a separate event, and `event.child` is its name.

    Raises:
        ValueError: *on_demand* is given together with *input* or *each*; *input* and *each* are both given, *join* is given without *each*, or asks for less than one machine.
    """
    if on_demand and (input is not None or each is not None):
        raise ValueError(
            "a machine on demand gets its data from effects.start(id, data, name=...): leave input= and each= out"
        )
    if input is not None and each is not None:
        raise ValueError("each item is the data of its machine: leave input= out, and let each= make the items")
    each_of(each, 1, join)
    return MachineOf(definition, id=id, input=input, each=each, join=join, on_demand=on_demand)


def child_of(
    declared: MachineOf, id: str, problem: Report, place: Location | None = None, *, read: ReadChart
) -> Child | None:
    """Read the machine's definition, and make it a child of the chart; None if a problem was reported."""
    if any(declared.definition is one for one in _being_read.get()):
        what = f"machine '{id}' runs {declared.__name__} again, which would start machines without end."
        problem(what, "Send to it instead: effects.send(event, to=(definition, key)).", place)
        return None
    chart = read(declared.definition)
    refuse_impure(id, declared.input, problem, kind="machine")
    refuse_impure_items(id, declared.each, problem, kind="machine")
    is_given = declared.on_demand or declared.input is not None or declared.each is not None
    if not is_given and (misfit := _without_data(chart)) is not None:
        what = f"machine '{id}' begins without data, and a {chart.name} needs some: {misfit}."
        problem(what, "Give it machine(..., input=...).", place)
    make = input_of(declared.input)

    def begin(scope: Scope) -> Spawn:
        return Spawn(chart, None if make is None else plain(make.call(scope)), id)

    each = each_of(declared.each, 1, declared.join)
    return Child(
        chart.name,
        begin,
        place or written(declared.definition),
        id=id,
        chart=chart,
        each=each,
        on_demand=declared.on_demand,
    )


@contextmanager
def reading(definition: object) -> Generator[None]:
    """Note that a definition is being read: it cannot be one of its own machines."""
    before = _being_read.set((*_being_read.get(), definition))
    try:
        yield
    finally:
        _being_read.reset(before)


def _without_data(chart: Chart) -> str | None:
    """Why a machine of this chart cannot begin without data; None if it can."""
    try:
        chart.data.load({})
    except Misfit as error:
        return f"{error.problem} at {error.path}"
    return None

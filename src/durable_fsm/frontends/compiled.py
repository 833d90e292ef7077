"""A chart for each machine, compiled from a field of its data by a function of the author's.

The function is called when a machine begins, and again in any process that meets that machine later: the same value makes
the same chart. Everything that Restate must know of before there is a machine is the same for all charts of a function:
their name, version, type of data and options, the events that anyone may send, and the machines that they may run. The
chart of an example shows it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar, cast

from durable_fsm.core.chart import Chart, Hosting
from durable_fsm.core.codec import canonical
from durable_fsm.core.compiler import Compiler
from durable_fsm.core.values import Misfit
from durable_fsm.errors import DefinitionError, Problem, quoted
from durable_fsm.frontends.arguments import written
from durable_fsm.frontends.machines import ReadChart

KEPT = 256
"""Charts of one function that are remembered; with more of them all are forgotten, and compiled again when needed."""

Value = TypeVar("Value")
Made = TypeVar("Made")


class CompiledCharts(Generic[Value, Made]):
    """The charts that a function makes; a definition that `chart_from` reads. To call it is to call the function."""

    def __init__(
        self, function: Callable[[Value], Made], field: str, example: Value, machines: tuple[object, ...]
    ) -> None:
        self.function = function
        self.field = field
        self.example = example
        self.machines = machines
        self.__name__ = getattr(function, "__name__", "compile")
        self.__doc__ = function.__doc__
        self.chart: Chart | None = None
        self._charts: dict[str, Chart] = {}

    def __call__(self, value: Value, /) -> Made:
        return self.function(value)

    @property
    def name(self) -> str:
        """The name of all its charts."""
        return str(getattr(self.function(self.example), "name", self.__name__))

    def read(self, read: ReadChart) -> Chart:
        """The chart of the example, which has the compiler of all others.

        Raises:
            DefinitionError: with every problem found.
        """
        shown = read(self.function(self.example))
        runs = tuple(read(machine) for machine in self.machines)

        def compile(data: object) -> Chart:
            return self._own(read, base, data)

        base = replace(shown, compiler=Compiler(self.__name__, self.field, compile, runs))
        self._refuse(base, [*_field_problems(base), *_problems(base, base)])
        return base

    def _own(self, read: ReadChart, base: Chart, data: object) -> Chart:
        stored = base.data.dump(data)
        text = canonical(stored.get(self.field) if isinstance(stored, dict) else None)
        known = self._charts.get(text)
        if known is not None:
            return known
        try:
            definition = self.function(_value_of(data, self.field))
        except Misfit:
            raise
        except ValueError as error:
            raise Misfit(f"{error}", f"$.{self.field}") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are for the author, who sees those of the example
            chart = replace(read(definition), compiler=base.compiler)
        self._refuse(chart, list(_problems(base, chart)))
        if len(self._charts) >= KEPT:
            self._charts.clear()
        self._charts[text] = chart
        return chart

    def _refuse(self, chart: Chart, found: list[tuple[str, str]]) -> None:
        place = str(written(self.function) or "")
        problems = tuple(Problem(what, remedy, place) for what, remedy in found)
        if problems:
            raise DefinitionError(chart=chart.name, problems=problems)


def compiled(
    field: str, *, example: Value, machines: Iterable[object] = ()
) -> Callable[[Callable[[Value], Made]], CompiledCharts[Value, Made]]:
    """Give each machine a chart of its own, which the function below makes from a field of the machine's data:

        @compiled("steps", example=[Step("rotate", 90)], machines=[Rotation, Blur])
        def picture(steps: list[Step]) -> TransitionsConfig: ...

    Args:
        field: of the data. It must not change as long as the machine exists.
        example: a value of the field. Its chart is the one that is drawn and checked, and that decides what all others
            have in common.
        machines: definitions of all the machines that the charts may run.

    The function makes a definition that `chart_from` reads. A `ValueError` that it raises refuses the data with 422.
    """
    runs = tuple(machines)
    return lambda function: CompiledCharts(function, field, example, runs)


def chart_from(definition: Any, read: ReadChart) -> Chart:  # Any: CompiledCharts of any value
    """The chart of the example, made once.

    Raises:
        DefinitionError: with every problem found.
    """
    charts: CompiledCharts[object, object] = definition
    if charts.chart is None:
        charts.chart = charts.read(read)
    return charts.chart


def _value_of(data: Any, field: str) -> Any:  # Any: data of the author's type, or of none
    return cast("dict[str, Any]", data)[field] if isinstance(data, dict) else getattr(data, field)


def _field_problems(base: Chart) -> Iterator[tuple[str, str]]:
    """Problems of `compiled` itself, each with its remedy."""
    assert base.compiler is not None
    members = (base.data.schema() or {}).get("properties")
    if isinstance(members, dict) and base.compiler.field not in members:
        what = f"@compiled names '{base.compiler.field}', which is not a stored field of the data."
        yield what, f"Name one of {quoted(sorted(members))}."
    for name, given in (("versions", base.kept), ("migrations", base.hosting.migrations)):
        if given:
            what = f"{name}= of charts that are compiled is not supported."
            yield what, "Serve the earlier version from a separate deployment until its machines have ended."


def _problems(base: Chart, chart: Chart) -> Iterator[tuple[str, str]]:
    """Differences to the chart of the example that Restate would have to know of beforehand, each with the remedy."""
    assert base.compiler is not None
    for what, expected, given in (
        ("name", base.name, chart.name),
        ("version", base.version, chart.version),
        ("type of data", base.data.schema(), chart.data.schema()),
    ):
        if given != expected:
            yield f"it has another {what} than the chart of the example.", "Use the same for all charts."
    differing = [spec.name for spec in fields(Hosting) if _option(base, spec.name) != _option(chart, spec.name)]
    if differing:
        yield f"it has another value of {quoted(differing)} than the chart of the example.", "Use the same for all."
    if chart.activities:
        what = f"activities {quoted(chart.activities)} would need a service that is known beforehand."
        yield what, "Put the work into a machine that the chart runs, and name that in machines=."
    new = sorted(set(chart.public_events) - set(base.public_events))
    if new:
        what = f"events {quoted(new)} would need handlers that are known beforehand."
        yield what, "Give the example a transition for each, or declare them private."
    known = {runs.name for runs in base.compiler.machines}
    run = {child.name for state in chart.states.values() for child in state.machines}
    if run - known:
        yield f"it runs {quoted(sorted(run - known))}.", "Name in machines= what the charts may run."
    if chart.reads_clock and not base.reads_clock:
        yield "it follows a calendar, and the chart of the example does not read the time.", "Declare clock=True."


def _option(chart: Chart, name: str) -> object:
    value: object = getattr(chart.hosting, name)
    return value

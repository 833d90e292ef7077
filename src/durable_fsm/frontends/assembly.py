"""Check the parts that a front-end has read, and make a chart of them. All front-ends share these checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from durable_fsm.core.chart import ROOT, Activity, Chart, EventType, Kind, Policies, State, Transition
from durable_fsm.core.values import Location, ValueType
from durable_fsm.errors import DefinitionError, Problem
from durable_fsm.frontends.checks import (
    flows,
    indexed,
    limits,
    losses,
    names,
    queries,
    redaction,
    repeatable,
    sources,
    undo,
    versions,
    workflows,
)
from durable_fsm.frontends.machines import ReadChart
from durable_fsm.frontends.options import ChartOptions, ClassChartOptions, hosting_of


class Problems:
    """The problems of one definition: collected, each once, and raised together.

    A problem that is reported without a place gets that of the part being read, `here`, or else that of the whole
    definition, *place*.
    """

    def __init__(
        self, chart: str, place: Location | Path | None, refusal: type[DefinitionError] = DefinitionError
    ) -> None:
        self.chart = chart
        self.here: Location | None = None
        self._place = place
        self._refusal = refusal
        self._found: dict[Problem, None] = {}

    def __call__(self, what: str, remedy: str, place: Location | None = None) -> None:
        self._found[Problem(what, remedy, str(place or self.here or self._place or ""))] = None

    def refuse_if_any(self) -> None:
        """Raise one error with every problem, if there is any.

        Raises:
            DefinitionError: there are problems.
        """
        if self._found:
            raise self._refusal(chart=self.chart, problems=tuple(self._found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a chart that a front-end has read. `data` is None if a problem with it was reported."""

    states: Mapping[str, State]
    transitions: tuple[Transition, ...]
    events: Mapping[str, EventType]
    data: ValueType | None
    doc: str
    policies: Policies
    work: tuple[Activity, ...]


def assemble(parts: Parts, options: ChartOptions, problem: Problems, read: ReadChart) -> Chart:
    """Make the chart; *read* reads the definitions of other versions.

    Raises:
        DefinitionError: with every problem found, by the front-end or here.
    """
    problem.here = None
    undo.refuse_nothing(parts.states, problem)
    for state in parts.states.values():
        if state.kind is Kind.FINAL and state.parent == ROOT and (state.activities or state.machines):
            what = f"state '{state.id}' ends the machine, so its activities would never start."
            problem(what, "Invoke it in a state before, which leads here with done_invoke_….", state.location)
    known = sources.DeclaredEvents.of(parts.events, parts.transitions)
    for what, remedy, place in sources.problems_in(options.sources, options.webhooks, known):
        problem(what, remedy, place)
    for what, remedy in names.chart_name_problems(problem.chart, of_class=isinstance(options, ClassChartOptions)):
        problem(what, remedy)
    for what, remedy in names.problems_in(options.handlers or {}, parts.events):
        problem(what, remedy)
    for what, remedy in queries.problems_in(options, parts.events):
        problem(what, remedy)
    losses.refuse_losses("the data", parts.data, problem, is_data=True)
    repeatable.refuse_unrepeatable("the data", parts.data, problem)
    for event in parts.events.values():
        losses.refuse_losses(f"payload of '{event.name}'", event.payload, problem, is_data=False)
        repeatable.refuse_unrepeatable(f"payload of '{event.name}'", event.payload, problem)
    types = [parts.data, *(event.payload for event in parts.events.values())]
    for what, remedy in redaction.problems_in(options, types):
        problem(what, remedy)
    for what, remedy in indexed.problems_in(options, parts.data):
        problem(what, remedy)
    problem.refuse_if_any()
    assert parts.data is not None  # otherwise the front-end has reported why
    chart = Chart(
        name=problem.chart,
        states=parts.states,
        transitions=parts.transitions,
        events=parts.events,
        data=parts.data,
        version=options.version,
        doc=parts.doc,
        policies=parts.policies,
        work=parts.work,
        hosting=hosting_of(options),
        kept=versions.kept_for(problem.chart, [read(one) for one in options.versions]),
    )
    for one in (versions, flows, workflows, limits):
        for what, remedy, place in one.problems_in(chart):
            problem(what, remedy, place)
    problem.refuse_if_any()
    return redaction.with_redaction(chart)

"""Check names that would mean two things: handlers of events, and members of payloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from durable_fsm.core.chart import Chart, EventType
from durable_fsm.core.lint import ChartFinding
from durable_fsm.core.service_names import accepted_name, fault_in_chart_name, in_ascii, is_handler_name
from durable_fsm.errors import quoted
from durable_fsm.frontends.arguments import Asking
from durable_fsm.frontends.checks.inputs import members_of
from durable_fsm.frontends.checks.parameters import OF_OUTCOMES, Uses
from durable_fsm.frontends.checks.redaction import CLOSABLE


def chart_name_problems(name: str, *, of_class: bool = False) -> Iterator[tuple[str, str]]:
    """The problem of a chart's name, with its remedy."""
    if (fault := fault_in_chart_name(name)) is not None:
        other = accepted_name(in_ascii(name), otherwise="Machine")
        other = f"My{other}" if fault_in_chart_name(other) else other
        yield f"'{name}' {fault}.", f"Call it @durable(name='{other}')." if of_class else f"Call it '{other}', say."


def problems_in(handlers: Mapping[str, str], events: Mapping[str, EventType]) -> Iterator[tuple[str, str]]:
    """Problems of `handlers=`, each with its remedy."""
    public = sorted(event.name for event in events.values() if event.public)
    for handler, event in handlers.items():
        if handler in CLOSABLE:
            yield f"handlers= names '{handler}', which is a handler of every machine.", "Give the event's another name."
        elif not is_handler_name(handler):
            remedy = "Write ASCII letters, digits and '_', a letter first."
            yield f"handlers= names '{handler}', which is not a name that Restate accepts.", remedy
        if event not in public:
            yield f"handlers= names event '{event}', and no such event is public.", f"There is {quoted(public)}."


def hidden_members(chart: Chart, asking: Sequence[Asking], meaning: Iterable[str]) -> Iterator[ChartFinding]:
    """Members of payloads that callbacks of their event ask for by a name that means something else to them.

    `meaning` are the names that mean something apart from the payload.
    """
    uses = Uses(chart.states.values(), chart.transitions)
    names = {*meaning} - {*OF_OUTCOMES}
    for event in chart.events.values():
        asked = {item.name for one in asking if uses.runs_for(one, event.name) for item in one.parameters} & names
        hidden = sorted(asked & (members_of(event.payload) or frozenset())) if asked else []
        if hidden:
            place = next((edge.location for edge in chart.transitions if event.name in edge.events), None)
            what = f"the payload of '{event.name}' has {quoted(hidden)}, and a callback that asks for such a name gets"
            what += " something else."
            yield ChartFinding("hidden", what, f"Read payload.{hidden[0]} there, or rename the member.", place)

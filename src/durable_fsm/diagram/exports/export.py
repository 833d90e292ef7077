"""The type of an export, and the sentences about left-out parts that several exports share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durable_fsm.core.chart import Activity, Chart, Child, Each, State, Transition, Unexpected
from durable_fsm.diagram.graph import Graph, GraphEdge, Label, Row


@dataclass(frozen=True, slots=True)
class Export:
    """A chart in another language.

    Attributes:
        text: the document, with a newline at its end.
        lost: a sentence for each part that the language cannot express. Such a part is left out, never approximated.
    """

    text: str
    lost: tuple[str, ...] = ()


def exported(lines: Iterable[str], lost: Iterable[str] = ()) -> Export:
    """An export of these lines; a sentence that was said twice is said once."""
    return Export("\n".join(lines) + "\n", tuple(dict.fromkeys(lost)))


def words(row: Row) -> str:
    """A row as plain text: `checkout [has_items] / reserve`."""
    return " ".join(part.text for part in row)


def name_of(id: str) -> str:
    """An id as a plain identifier; different ids give different ones."""
    if re.fullmatch(r"\w+", id, re.ASCII) and not re.search("_[0-9a-f]+_", id):
        return id
    return re.sub(r"\W", lambda found: f"_{ord(found[0]):x}_", id.replace("_", "__"), flags=re.ASCII)


def labelled(graph: Graph) -> Iterator[tuple[GraphEdge, Label]]:
    """The transitions of every edge, in document order; of those that read the same, the first."""
    found = [
        (edge, label)
        for edge in graph.edges
        for label in {label.parts: label for label in reversed(edge.labels)}.values()
    ]
    yield from sorted(found, key=lambda pair: pair[1].number)


def every_transition(graph: Graph) -> str:
    """The actions that every transition has, as a line of its own; "" without any."""
    return f"Every transition / {', '.join(graph.shared)}" if graph.shared else ""


def hidden(graph: Graph, comment: str) -> list[str]:
    """A comment that names the events without arrows; none if all have some."""
    return [f"{comment} Not drawn: {', '.join(graph.hidden)}"] if graph.hidden else []


# ── sentences about what is left out ──────────────────────────────────────────────────────────────────────────────────


def deferred(chart: Chart, state: State) -> list[str]:
    if not state.defers:
        return []
    names = ", ".join(f"'{name}'" for name in state.defers)
    return [f"'{state.id or chart.name}' defers {names}."]


def callbacks_of(edge: Transition) -> list[str]:
    """Validators, and callbacks that run before states are left or after states are entered."""
    lost = [f"'{check.name}' may reject '{' '.join(edge.events)}' in '{edge.source}'." for check in edge.validators]
    for when, callbacks in (("before states are left", edge.before), ("after states are entered", edge.after)):
        lost += [f"'{callback.name}' runs {when}." for callback in callbacks if edge.targets]
    return lost


def details_of(activity: Activity, details: str) -> list[str]:
    """That an activity is exclusive or a fan-out, the *details* that the language lacks, and what undoes it or it undoes."""
    lost = [f"Activity '{activity.id}' is exclusive."] if activity.exclusive else []
    lost.append(f"{details} of activity '{activity.id}'.")
    if activity.each is not None:
        lost.append(_fan_out(f"Activity '{activity.id}'", activity.each))
    if activity.undoes is not None:
        lost.append(f"'{activity.id}' undoes the completed work of {activity.undoes or 'the whole chart'}.")
    elif activity.undo:
        lost.append(f"{activity.undo.name} undoes activity '{activity.id}'.")
    return lost


def details_of_machine(child: Child) -> list[str]:
    """The chart of a child machine, and that there is one for each of some items, or for each that a callback starts."""
    lost = [f"The chart of machine '{child.name}', which is chosen at run time."]
    if child.on_demand:
        lost.append(f"Machine '{child.name}' begins when a callback starts it, and not with its state.")
    return lost if child.each is None else [*lost, _fan_out(f"Machine '{child.name}'", child.each)]


def _fan_out(what: str, each: Each) -> str:
    return f"{what} runs once for each of {each.name}, joined by '{each.join}'."


def rejection(chart: Chart) -> list[str]:
    if chart.policies.unexpected is not Unexpected.REJECT:
        return []
    return ["Events without a transition are rejected; there they are dropped."]

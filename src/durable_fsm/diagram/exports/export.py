"""What an export returns, and the words that all of them share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from durable_fsm.core.chart import Activity, Chart, State
from durable_fsm.diagram.graph import Edge, Graph, Label, Row


@dataclass(frozen=True, slots=True)
class Export:
    """A chart in another language.

    Attributes:
        text: the document, with a newline at its end.
        lost: a sentence for everything that the language cannot say. No edge is ever bent to make up for it.
    """

    text: str
    lost: tuple[str, ...] = ()


def words(row: Row) -> str:
    """`checkout [has_items] / reserve`."""
    return " ".join(part.text for part in row)


def name_of(id: str) -> str:
    """An id as a plain identifier; different ids give different ones."""
    if re.fullmatch(r"\w+", id, re.ASCII) and not re.search("_[0-9a-f]+_", id):
        return id
    return re.sub(r"\W", lambda found: f"_{ord(found[0]):x}_", id.replace("_", "__"), flags=re.ASCII)


def labelled(graph: Graph) -> Iterator[tuple[Edge, Label]]:
    """Every transition of every edge, in document order."""
    found = [(edge, label) for edge in graph.edges for label in edge.labels]
    yield from sorted(found, key=lambda pair: pair[1].number)


def deferred(chart: Chart, state: State) -> list[str]:
    """A sentence for the events that a state keeps for later, which other languages lose."""
    if not state.defers:
        return []
    names = ", ".join(f"'{name}'" for name in state.defers)
    return [f"That '{state.id or chart.name}' keeps {names} for later."]


def undone(activity: Activity) -> list[str]:
    """A sentence for what an activity undoes, or for what undoes it."""
    if activity.undoes is not None:
        return [f"That '{activity.id}' undoes what was done in {activity.undoes or 'the whole chart'}."]
    return [f"That {activity.undo.name} undoes what activity '{activity.id}' has done."] if activity.undo else []


def written(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"

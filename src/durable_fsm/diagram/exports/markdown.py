"""The transition table: every transition of a chart as a row of a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from durable_fsm.core.chart import ROOT, Chart, Transition
from durable_fsm.core.program import index_of
from durable_fsm.diagram.exports.export import Export, exported, words
from durable_fsm.diagram.words import Words, actions_of, conditions_of

_EMPHASIS = re.compile(r"[*`\[\]]|(?<![^\W_])_|_(?![^\W_])")
"""Characters that Markdown may take for its own; an underscore only at the border of a word."""

HEADING = ("state", "event", "guard", "action", "target")


def to_markdown(chart: Chart) -> Export:
    """Write a table of transitions, with state, event, guard, action and target, and one of what states do themselves.

    People compare this table when a picture has changed, so it contains everything that a picture shows.
    """
    lines = [_row(HEADING), _row(["---"] * len(HEADING))]
    lines += [_row(cells) for cells in _transitions(chart)]
    states = list(_states(chart))
    if states:
        lines += ["", _row(("state", "does")), _row(("---", "---")), *map(_row, states)]
    return exported(lines)


def _transitions(chart: Chart) -> Iterator[tuple[str, ...]]:
    talk = Words(chart)
    for state in chart.states.values():
        if state.initial is not None and (state.kind.is_history or state.initial.actions):
            yield _cells(state.id or "(start)", "first visit" if state.kind.is_history else "initial", state.initial)
        for edge in index_of(chart).transitions[state.id]:
            yield _cells(state.id or chart.name, talk.events(edge), edge)


def _cells(state: str, event: str, edge: Transition) -> tuple[str, ...]:
    target = ", ".join(edge.targets) or "stays"
    target = f"{target} (internal)" if edge.internal else target
    return state, event, ", ".join(conditions_of(edge)), ", ".join(actions_of(edge)), target


def _states(chart: Chart) -> Iterator[tuple[str, str]]:
    talk = Words(chart)
    for state in chart.states.values():
        for row in talk.rows(state, ()):
            yield state.id or chart.name, words(row)
        if state.tags:
            yield state.id, f"tags {', '.join(sorted(state.tags))}"
        if state.id != ROOT and state.kind.value not in ("atomic", "compound"):
            yield state.id, f"is {state.kind.value.replace('_', ' ')}"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _escaped(text: str) -> str:
    """The text as Markdown shows it: guards may have `<`, events may be `*`."""
    marked = _EMPHASIS.sub(lambda found: f"\\{found[0]}", escape(text, quote=False))
    return marked.replace("|", "\\|")

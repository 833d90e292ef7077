"""Draw a chart in a notebook, and save it to a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from statemachine import StateChart

from durable_fsm.core.chart import Chart
from durable_fsm.diagram import to_svg
from durable_fsm.diagram.files import SUFFIXES, content
from durable_fsm.diagram.theme import Theme
from durable_fsm.frontends import chart_from

FOLD_ABOVE = 25
"""The most states of a chart that is drawn in full unless a depth is given."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of a chart, which a notebook displays; `svg` is its text."""

    chart: Chart
    svg: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])  # Any: those of `to_svg`, of several types

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file, and return its path. The suffix decides the format.

        A PNG is light if the theme of the picture has no fixed colours.

        Raises:
            ValueError: the suffix is unknown.
            NoFont: no font was found for a PNG.
        """
        path = Path(path)
        if path.suffix not in SUFFIXES:
            raise ValueError(f"'{path}' has no suffix that says a format; use one of {', '.join(SUFFIXES)}")
        kind = SUFFIXES[path.suffix]
        theme = "light" if kind == "png" and self.options["theme"] in ("auto", "vars") else self.options["theme"]
        made, _ = content(self.chart, kind, **{**self.options, "theme": theme})
        path.write_bytes(made)
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        states = len(self.chart.states) - 1
        return f"<Drawing of {self.chart.name}, {states} state{'' if states == 1 else 's'}>"


def show(definition: object, *, depth: int | None = None, theme: Theme = "auto", **options: Any) -> Drawing:
    """Draw a definition for a notebook.

    Args:
        definition: anything that `chart_from` reads, or a python-statemachine instance, whose states are drawn as active.
        depth: how many levels of states to draw; by default all, or one if the chart has more than 25 states.
        theme: `auto` follows the reader's setting.
        options: further options of `to_svg`.

    Raises:
        TypeError: no front-end can read the definition.
        DefinitionError: the definition has problems.
        NoEngine: the extra `diagrams` is not installed.
    """
    chart, active = _subject(definition)
    options = {"active": active, **options, "theme": theme, "depth": folded(chart, depth)}
    return Drawing(chart, to_svg(chart, **options), options)


def folded(chart: Chart, depth: int | None) -> int | None:
    """How many levels to draw: *depth* if given, or else one if the chart has more than 25 states."""
    if depth is None and len(chart.states) - 1 > FOLD_ABOVE:
        return 1
    return depth


def _subject(definition: object) -> tuple[Chart, tuple[str, ...]]:
    """The chart of a definition, and the active states if it is an instance."""
    machine: Any = definition  # Any: a StateChart of any model, if it is one
    if not isinstance(machine, StateChart):
        return chart_from(definition), ()
    chart = chart_from(definition.__class__)
    ids = (str(state.id) for state in machine.configuration)
    return chart, tuple(id for id in ids if id in chart.states)

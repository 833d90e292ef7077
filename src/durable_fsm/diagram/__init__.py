"""Pictures of charts: extraction into a neutral graph, then one renderer per file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from durable_fsm.core.chart import Chart
from durable_fsm.diagram.extract import graph_of
from durable_fsm.diagram.graph import Graph
from durable_fsm.diagram.layout.engine import NoEngine
from durable_fsm.diagram.svg import to_svg

__all__ = ["Graph", "NoEngine", "graph_of", "to_png", "to_svg"]


def to_png(chart: Chart, *, zoom: float = 2.0, theme: Any = "light", font: Path | None = None, **options: Any) -> bytes:
    """Draw a chart as PNG; the options are those of `to_svg`, the theme `light` or `dark`.

    Args:
        zoom: pixels of the PNG for one of the picture.
        font: a font file to draw with; by default Inter, or what the machine has that is most like it.

    Raises:
        ValueError: the theme is not a fixed one.
        NoFont: there is no font to draw text with.
    """
    from durable_fsm.diagram.png import png_of

    if theme not in ("light", "dark"):
        raise ValueError(f"a PNG has fixed colours: use theme='light' or 'dark', not {theme!r}")
    return png_of(to_svg(chart, theme=theme, **options), zoom=zoom, font=font)

"""Pictures of charts. A picture is drawn in four steps:

    chart ──extract──▶ Graph ──layout──▶ Layout ──svg──▶ SVG ──png──▶ PNG

`extract` reads the chart and decides which states and edges the picture has, folded and highlighted as asked; `words`
phrases events, guards, actions and durations. The result is a `Graph` (`graph`): everything that the picture says, and
nothing about where it is. Every picture and every diagram text is made from it, so all of them use the same words.

`layout` finds the places: it measures all texts (`fonts`), lets Graphviz rank the boxes, and draws the lines itself.
`layout/__init__.py` describes its steps.

`svg` writes the result in the colours of `theme`, and puts a hash of the graph into it (`stamp`): two pictures with the
same stamp say the same, even if another version of Graphviz has placed them differently. `png` rasterises an SVG.

Beside the pictures there are texts for other tools (`exports`), files and the check whether they are up to date
(`files`), and blocks in Markdown documents (`markdown_blocks`). The same chart always gives the same bytes.
"""

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
    """Draw a chart as PNG. The options are those of `to_svg`; the theme is `light` or `dark`.

    Args:
        zoom: pixels of the PNG for each pixel of the picture.
        font: a font file to draw with; by default Inter, or the most similar font of this computer.

    Raises:
        ValueError: the theme does not have fixed colours.
        NoFont: no font was found to draw text with.
    """
    from durable_fsm.diagram.png import png_of

    if theme not in ("light", "dark"):
        raise ValueError(f"a PNG has fixed colours: use theme='light' or 'dark', not {theme!r}")
    return png_of(to_svg(chart, theme=theme, **options), zoom=zoom, font=font)

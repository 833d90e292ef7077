"""A chart as a figure of a web page, and the one style sheet that all figures of a site share."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import cast, get_args

from durable_fsm.core.chart import Chart
from durable_fsm.diagram import NoEngine, to_svg
from durable_fsm.diagram.exports import to_markdown
from durable_fsm.diagram.theme import DARK, LIGHT, Theme, css
from durable_fsm.docs.drawing import folded
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends.locate import TargetNotFound, locate_chart

LIGHT_PAGES = ':root,[data-md-color-scheme="default"],[data-bs-theme="light"],[data-theme="light"]'
DARK_PAGES = '[data-md-color-scheme="slate"],[data-bs-theme="dark"],[data-theme="dark"]'
FOLLOWING_PAGES = '[data-theme="auto"]'
"""How pages say their scheme: Material, Bootstrap (MkDocs, pydata), and furo, which leaves `auto` to the browser."""

_FIGURE = """
.fsm-figure{display:block;width:fit-content;max-width:100%;margin:1.5em auto}
.fsm-figure>.fsm-picture>*{display:block;max-width:100%;height:auto;border-radius:10px}
.fsm-figure>figcaption{max-width:none;margin:.8em auto;text-align:center}
table.docutils.fsm-table{margin-top:1.2em}
.fsm-error{margin:1.5em 0;padding:.7em 1em;border-left:4px solid #b42318;background:#fef3f2;color:#7a1610}
"""

TRUE = ("true", "yes", "on", "")
FALSE = ("false", "no", "off")

Table = list[list[str]]
"""Rows of cells, the first being the heading."""


class NoFigure(ValueError):
    """A page asks for a picture that cannot be made; the message begins with what it is of."""

    def __init__(self, target: str, problem: object) -> None:
        super().__init__(f"'{target}': {' '.join(str(problem).split())}")


@dataclass(frozen=True, slots=True)
class Figure:
    """What a page asks for: the picture of a target, and how. Options are those of `to_svg`."""

    target: str
    theme: Theme = "vars"
    depth: int | None = None
    active: tuple[str, ...] = ()
    direction: str = "TB"
    source_url: str | None = None
    table: bool = False
    caption: str = ""


OPTIONS = ("theme", "depth", "active", "direction", "source_url", "table", "caption")


@dataclass(frozen=True, slots=True)
class Drawable:
    """A figure with the chart that it names, and the file that this is written in, where there is one."""

    figure: Figure
    chart: Chart
    file: Path | None

    def svg(self, prefix: str = "", theme: Theme | None = None) -> str:
        """The picture alone.

        Raises:
            NoFigure: it cannot be drawn.
        """
        asked = self.figure
        try:
            return to_svg(
                self.chart,
                theme=theme or asked.theme,
                depth=folded(self.chart, asked.depth),
                active=asked.active,
                direction=asked.direction,
                source_url=asked.source_url,
                id_prefix=prefix,
            )
        except (NoEngine, ValueError) as error:
            raise NoFigure(asked.target, error) from error

    def html(self, prefix: str) -> str:
        """The figure for a page that has our style sheet, without its table.

        Args:
            prefix: before every id of the picture, so that a page can have several.

        Raises:
            NoFigure: it cannot be drawn.
        """
        svg = self.svg(prefix)
        picture = _inline(svg) if self.figure.theme == "vars" else _image(svg, self.description)
        caption = f"<figcaption>{escape(self.figure.caption)}</figcaption>" if self.figure.caption else ""
        picture = f'<div class="fsm-picture" data-search-exclude="">{picture}</div>'
        return f'<figure class="fsm-figure">{picture}{caption}</figure>'

    @property
    def description(self) -> str:
        """The picture in a sentence, for those who cannot see it."""
        return f"State machine {self.chart.name}: {len(self.chart.states) - 1} states"


def figure(target: str, options: Mapping[str, str]) -> Figure:
    """Read what a page asks for; *options* are as it spells them.

    Raises:
        NoFigure: there is no such option, or it has no such value.
    """
    if not target:
        raise NoFigure(target, "the first line names what to draw, as in shop.orders:Order.")
    asked = Figure(target)
    for name, value in options.items():
        asked = _with(asked, name.replace("-", "_"), value.strip())
    return asked


def drawable(asked: Figure, paths: Sequence[Path]) -> Drawable:
    """Find what a figure shows; for *paths* see `locate_chart`.

    Raises:
        NoFigure: it cannot be found, or lacks a state that should be active.
    """
    try:
        found = locate_chart(asked.target, paths)
    except (TargetNotFound, DefinitionError) as error:
        raise NoFigure(asked.target, error) from error
    unknown = [state for state in asked.active if state not in found.chart.states]
    if unknown:
        known = ", ".join(f"'{id}'" for id in found.chart.states if id)
        raise NoFigure(asked.target, f"there is no state '{unknown[0]}' to be active. It has {known}.")
    return Drawable(asked, found.chart, found.file)


def style_sheet() -> str:
    """The colours of a site's light and dark pages, and the rules of every inline picture."""
    following = f"@media (prefers-color-scheme:dark){{{_palette(FOLLOWING_PAGES, DARK)}}}"
    return "\n".join(
        [_palette(LIGHT_PAGES, LIGHT), _palette(DARK_PAGES, DARK), following, _FIGURE.strip(), css("vars"), ""]
    )


def complaint(problem: NoFigure) -> str:
    """What stands in the page instead of a picture."""
    return f'<div class="fsm-error" role="alert">There is no diagram of {escape(str(problem))}</div>'


def table_html(rows: Table) -> str:
    """A table as HTML, in whatever look the site gives to tables."""
    head, *body = rows
    return f"<table><thead>{_row(head, 'th')}</thead><tbody>{''.join(_row(row, 'td') for row in body)}</tbody></table>"


def tables(chart: Chart) -> list[Table]:
    """The transition table of a chart, and what its states do by themselves, as cells."""
    blocks = to_markdown(chart).text.strip().split("\n\n")
    return [[_cells(line) for line in block.splitlines() if not line.startswith("| ---")] for block in blocks]


# ── options ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _with(asked: Figure, name: str, value: str) -> Figure:
    match name:
        case "caption":
            return replace(asked, caption=value)
        case "source_url":
            return replace(asked, source_url=value)
        case "theme" if value in get_args(Theme):
            return replace(asked, theme=cast("Theme", value))
        case "direction" if value in ("TB", "LR"):
            return replace(asked, direction=value)
        case "depth" if value.isdecimal() and int(value) > 0:
            return replace(asked, depth=int(value))
        case "active":
            return replace(asked, active=tuple(value.replace(",", " ").split()))
        case "table" if value.lower() in TRUE + FALSE:
            return replace(asked, table=value.lower() in TRUE)
        case _ if name in OPTIONS:
            raise NoFigure(asked.target, f"'{name}' cannot be '{value}'.")
        case _:
            raise NoFigure(asked.target, f"there is no option '{name}'; use {', '.join(OPTIONS)}.")


# ── pieces of a page ──────────────────────────────────────────────────────────────────────────────────────────────────


def _inline(svg: str) -> str:
    """The picture without its style sheet, which the site has."""
    return svg.replace(f"<style>{css('vars')}</style>\n", "").strip()


def _image(svg: str, alternative: str) -> str:
    """The picture with its own colours, apart from the page, where they would spread to its neighbours."""
    width, height = re.findall(r'\b(?:width|height)="([\d.]+)"', svg)[:2]
    data = base64.b64encode(svg.encode()).decode()
    source = f"data:image/svg+xml;base64,{data}"
    return f'<img src="{source}" alt="{escape(alternative)}" width="{width}" height="{height}"/>'


def _row(cells: Iterable[str], tag: str) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _palette(selectors: str, colours: Mapping[str, str]) -> str:
    return f"{selectors}{{{';'.join(f'--fsm-{name}:{colour}' for name, colour in colours.items())}}}"

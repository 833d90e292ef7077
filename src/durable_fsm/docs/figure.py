"""Charts as figures of a web page, and the style sheet that all figures of a site share."""

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
from durable_fsm.errors import DefinitionError, counted
from durable_fsm.frontends.locate import TargetNotFound, locate_chart

LIGHT_PAGES = ':root,[data-md-color-scheme="default"],[data-bs-theme="light"],[data-theme="light"]'
DARK_PAGES = '[data-md-color-scheme="slate"],[data-bs-theme="dark"],[data-theme="dark"]'
FOLLOWING_PAGES = '[data-theme="auto"]'
"""Selectors of light, dark and automatic pages: of Material, of Bootstrap (MkDocs, pydata), and of furo."""

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
"""Rows of cells; the first row is the heading."""


class NoFigure(ValueError):
    """A page has a figure that cannot be drawn; the message begins with its target."""

    def __init__(self, target: str, problem: object) -> None:
        super().__init__(f"'{target}': {' '.join(str(problem).split())}")


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure as a page describes it: a target, and options, which are mostly those of `to_svg`."""

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
    """A figure with its chart, and the file of its definition if there is one."""

    figure: Figure
    chart: Chart
    file: Path | None

    def svg(self, prefix: str = "", theme: Theme | None = None) -> str:
        """Draw only the picture.

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
        """Draw the figure for a page that has our style sheet; without its table.

        Args:
            prefix: a prefix of every id of the picture, so that a page can have several pictures.

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
        """The alternative text of the picture."""
        return f"State machine {self.chart.name}: {counted(len(self.chart.states) - 1, 'state')}"


def figure(target: str, options: Mapping[str, str]) -> Figure:
    """Read the figure that a page describes; *options* as the page spells them.

    Raises:
        NoFigure: an option or its value is unknown.
    """
    if not target:
        raise NoFigure(target, "the first line must name what to draw, as in shop.orders:Order.")
    asked = Figure(target)
    for name, value in options.items():
        asked = _with(asked, name.replace("-", "_"), value.strip())
    return asked


def drawable(asked: Figure, paths: Sequence[Path]) -> Drawable:
    """Find the chart of a figure; for *paths* see `locate_chart`.

    Raises:
        NoFigure: it cannot be found, or does not have a state that should be active.
    """
    try:
        found = locate_chart(asked.target, paths)
    except (TargetNotFound, DefinitionError) as error:
        raise NoFigure(asked.target, error) from error
    unknown = [state for state in asked.active if state not in found.chart.states]
    if unknown:
        known = ", ".join(f"'{id}'" for id in found.chart.states if id)
        raise NoFigure(asked.target, f"the active state '{unknown[0]}' does not exist. There are {known}.")
    return Drawable(asked, found.chart, found.file)


def style_sheet() -> str:
    """The style sheet of a site: colours for light and dark pages, and the rules for inline pictures."""
    following = f"@media (prefers-color-scheme:dark){{{_palette(FOLLOWING_PAGES, DARK)}}}"
    return "\n".join(
        [_palette(LIGHT_PAGES, LIGHT), _palette(DARK_PAGES, DARK), following, _FIGURE.strip(), css("vars"), ""]
    )


def complaint(problem: NoFigure) -> str:
    """The HTML for a picture that cannot be drawn."""
    return f'<div class="fsm-error" role="alert">Cannot draw {escape(str(problem))}</div>'


def table_html(rows: Table) -> str:
    """A table as HTML; the style sheet of the site decides its look."""
    head, *body = rows
    return f"<table><thead>{_row(head, 'th')}</thead><tbody>{''.join(_row(row, 'td') for row in body)}</tbody></table>"


def tables(chart: Chart) -> list[Table]:
    """The tables of a chart: its transitions, and what its states do themselves."""
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
            raise NoFigure(asked.target, f"unknown option '{name}'; use {', '.join(OPTIONS)}.")


# ── pieces of a page ──────────────────────────────────────────────────────────────────────────────────────────────────


def _inline(svg: str) -> str:
    """The picture without its style sheet, which is in the style sheet of the site."""
    return svg.replace(f"<style>{css('vars')}</style>\n", "").strip()


def _image(svg: str, alternative: str) -> str:
    """The picture as an image with its own colours; inline they would affect other pictures of the page."""
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

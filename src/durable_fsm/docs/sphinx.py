"""The Sphinx extension `durable_fsm.docs.sphinx`: a directive that names a chart shows its picture.

    .. fsm:: shop.orders:Order
       :active: on_hold
       :caption: An order that waits for another card

HTML pages contain the SVG. LaTeX and similar builders get a PNG, and every other builder the transition table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

import durable_fsm
from durable_fsm.diagram.png import NoFont, png_of
from durable_fsm.diagram.theme import Theme
from durable_fsm.docs.figure import OPTIONS, Drawable, Figure, NoFigure, Table, drawable, figure, style_sheet, tables

STYLES = "durable_fsm.css"

log = logging.getLogger(__name__)


class PendingFigure(nodes.General, nodes.Element):
    """A placeholder for the `Figure` in `asked`, which is drawn when the builder is known."""


class FsmDirective(SphinxDirective):
    """Read what to draw, and warn at once if it cannot be found."""

    required_arguments = 1
    option_spec: ClassVar = {name.replace("_", "-"): directives.unchanged for name in OPTIONS}

    def run(self) -> list[nodes.Node]:
        try:
            asked = figure(self.arguments[0], {name: value or "" for name, value in self.options.items()})
            found = drawable(asked, _paths(self.env.srcdir))
        except NoFigure as problem:
            log.warning("fsm: %s", problem, location=self.get_location())
            return [_complaint(problem)]
        if found.file is not None:
            self.env.note_dependency(found.file)
        pending = PendingFigure(asked=asked)
        self.set_source_info(pending)
        return [pending]


def _draw(app: Sphinx, document: nodes.document, page: str) -> None:
    """Replace each placeholder by what the builder can show."""
    for number, pending in enumerate(list(document.findall(PendingFigure)), 1):
        asked: Figure = pending["asked"]
        try:
            made = list(_made(app, page, drawable(asked, _paths(app.srcdir)), number))
        except (NoFigure, NoFont, ImportError) as problem:
            log.warning("fsm: %s", problem, location=pending)
            made = [_complaint(problem)]
        pending.replace_self(made)


def _made(app: Sphinx, page: str, found: Drawable, number: int) -> Iterable[nodes.Node]:
    in_page = app.builder.format == "html"
    as_file = "image/png" in app.builder.supported_image_types
    caption = found.figure.caption
    if in_page:
        yield nodes.raw("", found.html(f"fsm{number}-"), format="html")
    elif as_file:
        picture = nodes.figure("", _image(app, page, found))
        picture += [nodes.caption(caption, caption)] if caption else []
        yield picture
    elif caption:
        yield nodes.paragraph(caption, caption)
    if found.figure.table or not (in_page or as_file):
        yield from map(_table, tables(found.chart))


def _image(app: Sphinx, page: str, found: Drawable) -> nodes.image:
    """The picture as a PNG beside the doctrees, from where the builder copies it."""
    theme: Theme = "dark" if found.figure.theme == "dark" else "light"
    png = png_of(found.svg(theme=theme))
    path = Path(app.doctreedir) / "fsm" / f"fsm-{hashlib.sha256(png).hexdigest()[:16]}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
    app.env.images.add_file(page, str(path))
    return nodes.image(uri=str(path), candidates={"*": str(path)}, alt=found.description)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive; Sphinx calls this."""
    app.add_node(PendingFigure)
    app.add_directive("fsm", FsmDirective)
    app.add_css_file(STYLES)
    app.connect("builder-inited", _write_styles)
    app.connect("doctree-resolved", _draw)
    return {"version": durable_fsm.__version__, "parallel_read_safe": True, "parallel_write_safe": True}


def _write_styles(app: Sphinx) -> None:
    if app.builder.format == "html":
        folder = Path(app.outdir) / "_static"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STYLES).write_text(style_sheet(), "utf-8")


def _paths(srcdir: Path | str) -> list[Path]:
    """Files are relative to the sources; modules may also be on `sys.path`, which conf.py can change."""
    return [Path(srcdir)]


def _complaint(problem: Exception) -> nodes.Node:
    text = f"Cannot draw {problem}"
    return nodes.error("", nodes.paragraph(text, text))


def _table(rows: Table) -> nodes.table:
    head, *body = rows
    widths = [max(map(len, cells), default=1) + 2 for cells in zip(*rows, strict=True)]
    group = nodes.tgroup("", *(nodes.colspec(colwidth=width) for width in widths), cols=len(head))
    group += nodes.thead("", _row(head))
    group += nodes.tbody("", *map(_row, body))
    return nodes.table("", group, classes=["fsm-table"])


def _row(cells: Iterable[str]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph(cell, cell)) for cell in cells))

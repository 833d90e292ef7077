"""Pictures and texts of charts as files: the formats of suffixes, the content, and whether a file is up to date."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from durable_fsm.core.chart import Chart
from durable_fsm.diagram import to_png
from durable_fsm.diagram.exports import Export, to_dot, to_markdown, to_mermaid, to_plantuml, to_scxml, to_xstate
from durable_fsm.diagram.png import undrawn
from durable_fsm.diagram.stamp import stamp_of, stamped
from durable_fsm.diagram.svg import to_svg

SUFFIXES: Mapping[str, str] = {
    ".svg": "svg",
    ".png": "png",
    ".md": "md",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".puml": "plantuml",
    ".dot": "dot",
    ".gv": "dot",
    ".scxml": "scxml",
    ".json": "xstate",
}
FORMATS = ("svg", "png", "mermaid", "plantuml", "dot", "scxml", "xstate", "md")

USUAL = {("theme", "light"), ("direction", "TB")}

_FOLDING: Mapping[str, Callable[..., Export]] = {"mermaid": to_mermaid, "plantuml": to_plantuml, "dot": to_dot}
_WHOLE: Mapping[str, Callable[[Chart], Export]] = {"md": to_markdown, "scxml": to_scxml, "xstate": to_xstate}
_TOOLTIPS = re.compile(r'<g id="(?:[^"]*)" class="fsm-(?:state|transition)\b.*?<title>(.*?)</title>', re.DOTALL)


def content(chart: Chart, format: str, **options: Any) -> tuple[bytes, tuple[str, ...]]:
    """The content of a file in this format, and a sentence for each part that is left out.

    Args:
        format: one of `FORMATS`.
        options: those of `to_svg`, and `font`, the font file of a PNG. Of these, `mermaid`, `plantuml` and `dot` use only `depth`; other texts use none.

    Raises:
        ValueError: an option has an invalid value.
        NoEngine: no layout program is installed.
        NoFont: no font was found for a PNG.
    """
    font: Path | None = options.pop("font", None)
    if format == "png":
        svg = to_svg(chart, **options)
        mark = stamp_of(svg.encode()) or ""
        return stamped(to_png(chart, font=font, **options), mark), tuple(_unreadable(svg, font))
    if format == "svg":
        return to_svg(chart, **options).encode(), ()
    export = _WHOLE[format](chart) if format in _WHOLE else _FOLDING[format](chart, depth=options.get("depth"))
    return export.text.encode(), export.lost


def _unreadable(svg: str, font: Path | None) -> Iterator[str]:
    missing = undrawn("".join(ElementTree.fromstring(svg).itertext()), font)
    if missing:
        yield f"no font here draws {' '.join(missing)}: install one that does, or name its file with --font."


def is_fresh(there: bytes, wanted: bytes) -> bool:
    """Whether a file has the wanted content, or the same stamp: another Graphviz may place things differently."""
    mark = stamp_of(wanted)
    return there == wanted or (mark is not None and stamp_of(there) == mark)


def report(chart: Chart, path: Path, wanted: bytes, *, target: str, **options: Any) -> list[str]:
    """Lines about a stale file for its author: the command that updates it, and how the file differs."""
    lines = [f"{path} is stale: run {command(target, path, **options)}"]
    if not path.is_file():
        return [*lines, "The file does not exist."]
    return lines + (difference(chart, path, wanted) or ["The content is the same; its look or an option has changed."])


def command(target: str, path: Path, **options: Any) -> str:
    """The command that writes the file. Options are those of `to_svg`; defaults are left out."""
    words = ["durable-fsm", "diagram", target, "-o", str(path)]
    if path.suffix not in SUFFIXES and "format" in options:
        words += ["--format", options["format"]]
    for name, value in options.items():
        if name == "format" or not value or (name, value) in USUAL:
            continue
        if value is True:
            words.append(f"--{name}")
            continue
        for item in [value] if isinstance(value, str | int | Path) else value:
            words += [f"--{name.replace('_', '-')}", str(item)]
    return shlex.join(words)


def difference(chart: Chart, path: Path, wanted: bytes) -> list[str]:
    """How a stale file differs, as lines of a unified diff; empty for a PNG, or if the content is the same.

    A picture is compared by the transition table beside it (`order.md` beside `order.svg`). Without one, an SVG is
    compared by the tooltips of its states and transitions.
    """
    beside = path.with_suffix(".md")
    if path.suffix != ".md" and beside.is_file():
        table = _diff(beside, beside.read_text("utf-8"), to_markdown(chart).text)
        if table:
            return table
    there = path.read_bytes() if path.is_file() else b""
    if path.suffix == ".svg":
        return _diff(path, _tooltips(there), _tooltips(wanted))
    return [] if path.suffix == ".png" else _diff(path, there.decode("utf-8", "replace"), wanted.decode())


def _tooltips(svg: bytes) -> str:
    """The tooltips of every state and transition of an SVG, a line each."""
    titles: list[str] = _TOOLTIPS.findall(svg.decode("utf-8", "replace"))
    return "\n".join(unescape(title).replace("\n", "; ") for title in titles)


def _diff(path: Path, old: str, new: str) -> list[str]:
    names = (f"{path} (on disk)", f"{path} (now)")
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), *names, lineterm=""))

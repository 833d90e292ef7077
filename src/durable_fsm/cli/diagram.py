"""`durable-fsm diagram`: pictures and tables of charts, and whether those on disk are still right."""

from __future__ import annotations

import difflib
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from durable_fsm.cli.targets import chart_of
from durable_fsm.core.model import Chart
from durable_fsm.diagram import NoEngine, to_png, to_svg
from durable_fsm.diagram.exports import Export, to_markdown, to_mermaid, to_plantuml

SUFFIXES = {".svg": "svg", ".png": "png", ".md": "md", ".mmd": "mermaid", ".mermaid": "mermaid", ".puml": "plantuml"}
FORMATS = ("svg", "png", "mermaid", "plantuml", "md")
TEXTS: dict[str, Callable[..., Export]] = {"mermaid": to_mermaid, "plantuml": to_plantuml}
TABLE = "durable_fsm.diagrams"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture to make: of what, where to, and how."""

    target: str
    output: Path | None
    format: str
    theme: str = "light"
    depth: int | None = None
    active: tuple[str, ...] = ()
    direction: str = "TB"
    source_url: str | None = None


@click.command()
@click.argument("targets", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file; its suffix says the format.")
@click.option("--format", "format_", type=click.Choice(FORMATS), help="Say the format; svg, if nothing else does.")
@click.option("--theme", type=click.Choice(("light", "dark", "auto", "vars")), default="light", show_default=True)
@click.option("--depth", type=click.IntRange(min=1), help="Draw this many levels; fold what lies deeper.")
@click.option("--active", multiple=True, metavar="STATE", help="Highlight this state; may be given several times.")
@click.option(
    "--direction", type=click.Choice(("TB", "LR")), default="TB", show_default=True, help="Down, or to the right."
)
@click.option("--source-url", metavar="URL", help="Link states and labels; {file} and {line} are filled in.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is not what would be written.")
@click.option("--strict", is_flag=True, help="Exit with 1 if a format has to leave anything out.")
def diagram(
    targets: tuple[str, ...],
    output: Path | None,
    format_: str | None,
    theme: str,
    depth: int | None,
    active: tuple[str, ...],
    direction: str,
    source_url: str | None,
    check: bool,  # noqa: FBT001 - click's way
    strict: bool,  # noqa: FBT001
) -> None:
    """Draw the charts of TARGETS.

    A target is 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document. Without any, the
    pictures of [tool.durable_fsm.diagrams] in pyproject.toml are made:

    \b
      [tool.durable_fsm.diagrams.order]
      target = "machines.order.machine:Order"
      output = "diagrams/order.svg"
      theme = "auto"

    SVG and texts go to standard output where no file is named. What a format cannot say goes to standard error.
    """  # noqa: D301 - click's mark for "do not rewrap" is a backspace character
    if output is not None and len(targets) > 1:
        raise click.UsageError("One file holds one picture: name one target, or none and a table in pyproject.toml.")
    pictures = [
        Picture(target, output, format_ or _format_of(output), theme, depth, active, direction, source_url)
        for target in targets
    ] or _configured(Path("pyproject.toml"))
    outcomes = [_make(picture, check=check) for picture in pictures]
    if any(stale for stale, _ in outcomes) or (strict and any(lost for _, lost in outcomes)):
        sys.exit(1)


def _configured(path: Path) -> list[Picture]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise click.UsageError(f"Name a target, or describe pictures in [tool.{TABLE}] of {path}.") from None
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path} cannot be read: {error}.") from error
    found = cast("dict[str, dict[str, Any]]", table.get("tool", {}).get("durable_fsm", {}).get("diagrams", {}))
    if not found:
        raise click.UsageError(f"Name a target, or describe pictures in [tool.{TABLE}] of {path}.")
    return [_described(name, members) for name, members in found.items()]


def _described(name: str, members: dict[str, Any]) -> Picture:
    unknown = members.keys() - {"target", "output", "format", "theme", "depth", "active", "direction", "source_url"}
    if unknown or not {"target", "output"} <= members.keys():
        what = f"knows no '{min(unknown)}'" if unknown else "needs 'target' and 'output'"
        raise click.UsageError(f"[tool.{TABLE}.{name}] {what}.")
    output = Path(members["output"])
    rest = {key: value for key, value in members.items() if key not in ("target", "output", "format", "active")}
    return Picture(
        members["target"],
        output,
        members.get("format") or _format_of(output),
        active=tuple(members.get("active", ())),
        **rest,
    )


def _format_of(output: Path | None) -> str:
    if output is None:
        return "svg"
    if output.suffix not in SUFFIXES:
        raise click.UsageError(f"'{output}' has no suffix that says a format: {', '.join(SUFFIXES)}. Use --format.")
    return SUFFIXES[output.suffix]


def _make(picture: Picture, *, check: bool) -> tuple[bool, bool]:
    """Write or compare one picture; whether it is stale, and whether anything was left out."""
    chart = chart_of(picture.target)
    unknown = [state for state in picture.active if state not in chart.states]
    if unknown:
        raise click.UsageError(
            f"'{picture.target}' has no state '{unknown[0]}'. It has {', '.join(filter(None, chart.states))}."
        )
    try:
        content, lost = _drawn(chart, picture)
    except (NoEngine, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for sentence in lost:
        click.echo(f"{picture.target}: left out: {sentence}", err=True)
    if check:
        return _is_stale(chart, picture, content), bool(lost)
    if picture.output is not None:
        picture.output.parent.mkdir(parents=True, exist_ok=True)
        picture.output.write_bytes(content)
        click.echo(f"wrote {picture.output}", err=True)
    elif picture.format == "png" and sys.stdout.isatty():
        raise click.UsageError("A PNG is no text: name a file with -o.")
    else:
        sys.stdout.buffer.write(content)
    return False, bool(lost)


def _drawn(chart: Chart, picture: Picture) -> tuple[bytes, tuple[str, ...]]:
    if picture.format == "md":
        export = to_markdown(chart)
        return export.text.encode(), export.lost
    if picture.format in TEXTS:
        export = TEXTS[picture.format](chart, depth=picture.depth)
        return export.text.encode(), export.lost
    options: dict[str, Any] = {
        "theme": picture.theme,
        "depth": picture.depth,
        "active": picture.active,
        "direction": picture.direction,
        "source_url": picture.source_url,
    }
    return (to_png(chart, **options) if picture.format == "png" else to_svg(chart, **options).encode()), ()


def _is_stale(chart: Chart, picture: Picture, content: bytes) -> bool:
    """Compare a file with what would be written; the difference is shown as one of transition tables."""
    if picture.output is None:
        raise click.UsageError("--check compares files: name one with -o, or describe pictures in pyproject.toml.")
    there = picture.output.read_bytes() if picture.output.is_file() else b""
    if there == content:
        return False
    beside = picture.output.with_suffix(".md")
    click.echo(f"{picture.output} is stale: run durable-fsm diagram {picture.target} -o {picture.output}", err=True)
    if beside.is_file() and beside != picture.output:
        there = beside.read_bytes()
    if picture.output.suffix == ".md" or beside.is_file():
        old = there.decode("utf-8", "replace").splitlines()
        new = to_markdown(chart).text.splitlines()
        for line in difflib.unified_diff(old, new, f"{beside} (on disk)", f"{picture.target} (now)", lineterm=""):
            click.echo(line, err=True)
    return True

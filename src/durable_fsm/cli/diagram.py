"""`durable-fsm diagram`: draw charts as pictures and tables, or check that those on disk are fresh."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

import click

from durable_fsm.cli.app_arg import trusted_option
from durable_fsm.cli.documents import fill
from durable_fsm.cli.overlays import HELP, overlay_of
from durable_fsm.cli.settings import Connection, connectable
from durable_fsm.core.chart import Chart
from durable_fsm.diagram import NoEngine
from durable_fsm.diagram.files import FORMATS, SUFFIXES, content, is_fresh, report
from durable_fsm.diagram.png import NoFont
from durable_fsm.frontends.locate import locate_chart, locate_last_chart

TABLE = "durable_fsm.diagrams"


@dataclass(frozen=True, slots=True)
class Picture:
    """One diagram to make: its chart, its file and its options."""

    target: str
    output: Path | None
    format: str
    theme: str = "light"
    depth: int | None = None
    active: tuple[str, ...] = ()
    direction: str = "TB"
    id_prefix: str = ""
    source_url: str | None = None
    font: Path | None = None
    overlay: str = ""
    trusted: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The options, as the renderer takes them; the overlay as it is written."""
        names = [field.name for field in fields(self)[3:] if field.name != "trusted"]
        return {name: getattr(self, name) for name in names if name != "overlay" or self.overlay}


@click.command()
@click.argument("targets", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to this file; its suffix is the format.")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="The format; default: the suffix of the file, else svg."
)
@click.option(
    "--theme",
    type=click.Choice(("light", "dark", "auto", "vars")),
    default="light",
    show_default=True,
    help="Colours; auto follows the reader's system, vars uses the page's CSS variables.",
)
@click.option("--depth", type=click.IntRange(min=1), help="Draw this many levels; fold deeper states.")
@click.option("--active", multiple=True, metavar="STATE", help="Highlight this state; may be given several times.")
@click.option(
    "--direction",
    type=click.Choice(("TB", "LR")),
    default="TB",
    show_default=True,
    help="Top to bottom, or left to right.",
)
@click.option("--id-prefix", default="", metavar="TEXT", help="Prefix of every id, for several diagrams on one page.")
@click.option("--source-url", metavar="URL", help="Link states and labels to this URL; {file} and {line} are replaced.")
@click.option("--overlay", default="", metavar="KIND[=FILE]", help=f"Show on the diagram: {HELP}")
@click.option("--font", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Draw a PNG with this font.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a file is stale.")
@click.option("--strict", is_flag=True, help="Exit with 1 if the format leaves anything out.")
@connectable
@trusted_option
def diagram(
    targets: tuple[str, ...],
    output: Path | None,
    format_: str | None,
    theme: str,
    depth: int | None,
    active: tuple[str, ...],
    direction: str,
    id_prefix: str,
    source_url: str | None,
    font: Path | None,
    overlay: str,
    connect: Callable[[], Connection],
    trusted: bool,  # noqa: FBT001 - click's way
    check: bool,  # noqa: FBT001
    strict: bool,  # noqa: FBT001
) -> None:
    """Draw the charts of TARGETS.

    TARGET is 'module:Name', 'file.py:Name' or the path of an .scxml, .json or .yaml document; Name is a chart, or an
    application with one. Without targets, the diagrams of [tool.durable_fsm.diagrams] in pyproject.toml are drawn:

    \b
      [tool.durable_fsm.diagrams.order]
      target = "machines.order.machine:Order"
      output = "diagrams/order.svg"
      theme = "auto"

    A target 'machines/*/machine.py' draws the last chart of each file; '{name}' in its output is what '*' matched.

    A Markdown file is updated in place, between these lines (table, mermaid or svg):

    \b
      <!-- fsm: machines.order.machine:Order table -->
      <!-- /fsm -->

    --overlay population reads the number of machines from the server. The file of coverage is written by
    `durable-fsm explore --save` or `pytest --fsm-coverage`, that of a plan by `durable-fsm plan`, that of a path by
    `durable-fsm explore`, or by hand: a story.

    Without a file, SVG and text go to standard output. Standard error lists what the format cannot express.
    """
    if output is not None and len(targets) > 1:
        raise click.UsageError("One file contains one diagram: name one target, or none and a table in pyproject.toml.")
    if overlay == "population" and check:
        raise click.UsageError("The population changes all the time: leave out --check.")
    if (output or format_) and any(map(_is_document, targets)):
        raise click.UsageError("A Markdown file is updated in place: leave out -o and --format.")
    pictures = [
        Picture(
            target,
            output,
            format_ or _format_of(output),
            theme,
            depth,
            active,
            direction,
            id_prefix,
            source_url,
            font,
            overlay,
            trusted,
        )
        for target in targets
    ] or _configured(Path("pyproject.toml"))
    outcomes = [_make(picture, connect, check=check) for picture in pictures]
    if any(stale for stale, _ in outcomes) or (strict and any(lost for _, lost in outcomes)):
        sys.exit(1)


def _is_document(target: str) -> bool:
    return target.endswith(".md")


def _configured(path: Path) -> list[Picture]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise click.UsageError(f"Name a target, or describe diagrams in [tool.{TABLE}] of {path}.") from None
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path} cannot be read: {error}.") from error
    found = cast("dict[str, dict[str, Any]]", table.get("tool", {}).get("durable_fsm", {}).get("diagrams", {}))
    if not found:
        raise click.UsageError(f"Name a target, or describe diagrams in [tool.{TABLE}] of {path}.")
    return [_described(name, members) for name, table in found.items() for members in _expanded(name, table)]


def _expanded(name: str, members: dict[str, Any]) -> list[dict[str, Any]]:  # Any: values of TOML
    """Repeat a table whose target is a glob for each file, with the part that `*` matched in place of `{name}`."""
    pattern, output = str(members.get("target", "")), str(members.get("output", ""))
    if "*" not in pattern:
        return [members]
    if "{name}" not in output:
        raise click.UsageError(f"[tool.{TABLE}.{name}] needs '{{name}}' in 'output': its target may match many files.")
    matched = re.compile(re.escape(pattern).replace(r"\*", "([^/]*)"))
    files = {path: matched.fullmatch(path.as_posix()) for path in sorted(Path().glob(pattern))}
    if not files:
        raise click.UsageError(f"[tool.{TABLE}.{name}] matches no file: '{pattern}'.")
    return [
        {
            **members,
            "target": locate_last_chart(path),
            "output": output.replace("{name}", "-".join(found.groups())),
        }
        for path, found in files.items()
        if found is not None
    ]


def _described(name: str, members: dict[str, Any]) -> Picture:
    unknown = members.keys() - {field.name for field in fields(Picture)}
    if not unknown and _is_document(str(members.get("target"))) and "output" not in members:
        return Picture(members["target"], None, "md")
    if unknown or not {"target", "output"} <= members.keys():
        what = f"has an unknown entry '{min(unknown)}'" if unknown else "needs 'target' and 'output'"
        raise click.UsageError(f"[tool.{TABLE}.{name}] {what}.")
    output = Path(members["output"])
    rest = {key: value for key, value in members.items() if key not in ("target", "output", "format", "active", "font")}
    return Picture(
        members["target"],
        output,
        members.get("format") or _format_of(output),
        active=tuple(members.get("active", ())),
        font=Path(members["font"]) if "font" in members else None,
        **rest,
    )


def _format_of(output: Path | None) -> str:
    if output is None:
        return "svg"
    if output.suffix not in SUFFIXES:
        raise click.UsageError(f"'{output}' has no suffix of a known format: {', '.join(SUFFIXES)}. Use --format.")
    return SUFFIXES[output.suffix]


def _make(picture: Picture, connect: Callable[[], Connection], *, check: bool) -> tuple[bool, bool]:
    """Write or compare one diagram; return whether it is stale, and whether anything was left out."""
    if _is_document(picture.target):
        return fill(Path(picture.target), check=check, trusted=picture.trusted)
    chart = locate_chart(picture.target, trusted=picture.trusted).chart
    unknown = [state for state in picture.active if state not in chart.states]
    if unknown:
        raise click.UsageError(
            f"'{picture.target}' has no state '{unknown[0]}'. It has {', '.join(filter(None, chart.states))}."
        )
    options = picture.options
    if picture.overlay:
        if picture.format not in ("svg", "png"):
            raise click.UsageError(f"An overlay is drawn on a picture: {picture.format} has none. Use .svg or .png.")
        options["overlay"] = overlay_of(picture.overlay, chart, connect)
    try:
        made, lost = content(chart, picture.format, **options)
    except (NoEngine, NoFont, ImportError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for sentence in lost:
        click.echo(f"{picture.target}: left out: {sentence}", err=True)
    if check:
        return _is_stale(chart, picture, made), bool(lost)
    if picture.output is not None:
        picture.output.parent.mkdir(parents=True, exist_ok=True)
        picture.output.write_bytes(made)
        click.echo(f"wrote {picture.output}", err=True)
    elif picture.format == "png" and sys.stdout.isatty():
        raise click.UsageError("A PNG is binary: name a file with -o.")
    else:
        sys.stdout.buffer.write(made)
    return False, bool(lost)


def _is_stale(chart: Chart, picture: Picture, wanted: bytes) -> bool:
    """Compare a file with the fresh diagram; print how it differs, and the command that updates it."""
    if picture.output is None:
        raise click.UsageError("--check compares files: name one with -o, or describe diagrams in pyproject.toml.")
    there = picture.output.read_bytes() if picture.output.is_file() else b""
    if is_fresh(there, wanted):
        return False
    how = {**picture.options, "format": picture.format, "trusted": picture.trusted}
    for line in report(chart, picture.output, wanted, target=picture.target, **how):
        click.echo(line, err=True)
    return True

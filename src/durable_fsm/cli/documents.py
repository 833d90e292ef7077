"""Fill the blocks of Markdown documents, or check that they are fresh."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from durable_fsm.cli.errors import CommandError, exit_code_of
from durable_fsm.core.chart import Chart
from durable_fsm.diagram import NoEngine, to_svg
from durable_fsm.diagram.exports import Export, to_markdown, to_mermaid
from durable_fsm.diagram.files import is_fresh
from durable_fsm.diagram.markdown_blocks import BadBlock, MarkdownBlock, blocks, filled
from durable_fsm.errors import DefinitionError
from durable_fsm.frontends.locate import AuthorFailed, TargetNotFound, locate_chart


def fill(path: Path, *, check: bool, trusted: bool = False) -> tuple[bool, bool]:
    """Fill the blocks of a document, or compare them; return whether it is stale, and whether anything was left out.

    Raises:
        click.UsageError: The document does not exist, or a block cannot be filled; the message says file and line.
    """
    lost: list[str] = []

    def render(block: MarkdownBlock, there: str) -> str:
        export = _rendered(path, block, trusted=trusted)
        lost.extend(f"{path}:{block.line}: left out: {sentence}" for sentence in export.lost)
        return there if is_fresh(there.encode(), export.text.encode()) else export.text

    try:
        old = path.read_bytes().decode()
        new = filled(old, render)
        found = len(blocks(old))
    except FileNotFoundError:
        raise click.UsageError(f"There is no file '{path}' to fill.") from None
    except BadBlock as error:
        raise click.UsageError(f"{path}:{error.line}: {error}") from error
    for sentence in lost:
        click.echo(sentence, err=True)
    if check:
        return _is_stale(path, old, new), bool(lost)
    if new != old:
        path.write_bytes(new.encode())
    click.echo(f"{'wrote' if new != old else 'kept'} {path}, {found} block{'' if found == 1 else 's'}", err=True)
    return False, bool(lost)


def _rendered(path: Path, block: MarkdownBlock, *, trusted: bool) -> Export:
    try:
        chart = locate_chart(block.target, trusted=trusted).chart
        return _body(chart, block.kind)
    except AuthorFailed as error:
        problem = f"{path}:{block.line}: {error}"
        raise CommandError(problem, code=exit_code_of(DefinitionError), kind="AuthorFailed") from error
    except TargetNotFound as error:
        raise click.UsageError(f"{path}:{block.line}: {error}") from error
    except NoEngine as error:
        raise click.ClickException(f"{path}:{block.line}: {error}") from error


def _body(chart: Chart, kind: str) -> Export:
    """Render the body of a block. A Markdown table needs blank lines around it."""
    if kind == "svg":
        return Export(to_svg(chart, theme="auto", id_prefix=f"{chart.name.lower()}-"))
    if kind == "mermaid":
        export = to_mermaid(chart)
        return Export(f"```mermaid\n{export.text}```\n", export.lost)
    return Export(f"\n{to_markdown(chart).text}\n")


def _is_stale(path: Path, old: str, new: str) -> bool:
    if new == old:
        return False
    click.echo(f"{path} is stale: run durable-fsm diagram {path}", err=True)
    names = (f"{path} (on disk)", f"{path} (now)")
    for line in difflib.unified_diff(old.splitlines(), new.splitlines(), *names, lineterm=""):
        click.echo(line, err=True)
    return True

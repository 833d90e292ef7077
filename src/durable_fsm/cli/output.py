"""Print results: JSON for programs, lines and tables for people, colours only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from durable_fsm.errors import printable

if TYPE_CHECKING:
    from rich.console import Console

Command = TypeVar("Command", bound=Callable[..., Any])  # Any: a click command takes what its options say

AS_JSON = "durable_fsm.as_json"
_WIDE = 10_000
"""Columns for an output that is not a terminal: no line is cut."""


def json_option(command: Command) -> Command:
    """Add `--json` to a command, which receives `as_json`. Its errors are JSON too, on standard error."""

    def remember(ctx: click.Context, _option: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's way
        ctx.meta[AS_JSON] = value
        return value

    option = click.option("--json", "as_json", is_flag=True, callback=remember, is_eager=True, help="Print JSON.")
    return option(command)


def show(value: object, as_json: bool) -> None:  # noqa: FBT001 - every command has this one option
    """Print *value* as one JSON document, or for a person.

    A person sees a list of objects as a table, an object as `name  value` lines, and any other value as it is.
    """
    if as_json:
        click.echo(as_text(value, indent=2 if sys.stdout.isatty() else None))
    elif isinstance(value, str):
        click.echo(printable(value, keep="\n"))
    elif isinstance(value, Mapping):
        _table([[str(name), words(one)] for name, one in cast("Mapping[object, object]", value).items()], header=None)
    elif isinstance(value, Sequence):
        _rows(cast("Sequence[object]", value))
    else:
        say(words(value))


def say(text: str, *, err: bool = False) -> None:
    """Print a line that may quote a machine: what a terminal would obey is spelled out."""
    click.echo(printable(text), err=err)


def words(value: object) -> str:
    """Format one value for a cell: `–` for none, `cart, paid` for a list of strings, JSON for nested values."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() | tuple():
            many = cast("Sequence[object]", value)
            if all(isinstance(one, str) for one in many):
                return ", ".join(map(str, many)) or "–"
            return as_text(many)
        case _:
            return as_text(value)


def as_text(value: object, *, indent: int | None = None) -> str:
    """*value* as JSON that a terminal can show: characters that it would obey are escaped, as JSON escapes them."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}" if character.isascii() else json.dumps(character)[1:-1]


def console(*, err: bool = False) -> Console:
    """Return a rich console: without colours if the output is not a terminal or NO_COLOR is set, and without markup."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def _rows(rows: Sequence[object]) -> None:
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        for row in rows:
            say(words(row))
        return
    objects = cast("Sequence[Mapping[str, object]]", rows)
    names = list(dict.fromkeys(name for row in objects for name in row))
    _table([[words(row.get(name)) for name in names] for row in objects], header=names)


def _table(rows: Sequence[Sequence[str]], *, header: Sequence[str] | None) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=header is not None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in header or [""] * (len(rows[0]) if rows else 0):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))  # Text: a value of a machine is never read as markup
    console().print(table)

"""Find and fill blocks of a Markdown document that show a chart.

    <!-- fsm: shop.orders:Order table -->
    …
    <!-- /fsm -->

Both comments need a line of their own. Comments inside a fenced code block are examples and are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

KINDS = ("table", "mermaid", "svg")

_OPENS = re.compile(r"\s*<!--\s*fsm:(.*?)-->\s*")
_CLOSES = re.compile(r"\s*<!--\s*/fsm\s*-->\s*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


class BadBlock(ValueError):
    """A block that cannot be filled, in `line`, counted from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class MarkdownBlock:
    """A block that shows *target* as one of `KINDS`. Its comments are on the lines `line` and `end`."""

    target: str
    kind: str
    line: int
    end: int


Render = Callable[[MarkdownBlock, str], str]
"""A function from a block and its present content to its new content."""


def blocks(text: str) -> list[MarkdownBlock]:
    """The blocks of a document, in order.

    Raises:
        BadBlock: a block has no end or no beginning, or its kind is unknown.
    """
    found: list[MarkdownBlock] = []
    opened: tuple[str, str, int] | None = None
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        if opened is None:
            fence = _fence(fence, line)
        if fence:
            continue
        begins = _OPENS.fullmatch(line)
        if begins is not None:
            if opened is not None:
                raise BadBlock("this block begins inside another; close the other with <!-- /fsm --> first.", number)
            opened = (*_asked(begins[1], number), number)
        elif _CLOSES.fullmatch(line):
            if opened is None:
                raise BadBlock("<!-- /fsm --> closes nothing; remove it.", number)
            found.append(MarkdownBlock(*opened, number))
            opened = None
    if opened is not None:
        raise BadBlock("this block has no end; add <!-- /fsm --> below it.", opened[2])
    return found


def filled(text: str, render: Render) -> str:
    """Fill all blocks of a document.

    Raises:
        BadBlock: as `blocks` does.
    """
    lines = text.splitlines(keepends=True)
    for block in reversed(blocks(text)):
        there = "".join(lines[block.line : block.end - 1])
        lines[block.line : block.end - 1] = [render(block, there)]
    return "".join(lines)


def _asked(words: str, number: int) -> tuple[str, str]:
    asked = words.split()
    if len(asked) != 2:
        raise BadBlock("a block names a target and a kind: <!-- fsm: module:Class table -->.", number)
    target, kind = asked
    if kind not in KINDS:
        raise BadBlock(f"unknown kind of block '{kind}'; use {', '.join(KINDS)}.", number)
    return target, kind


def _fence(fence: str, line: str) -> str:
    """The code fence that is open after a line. It takes a fence of the same character, at least as long, to close it."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    if not fence:
        return found[1]
    closes = found[1].startswith(fence) and not line.strip().strip(fence[0])
    return "" if closes else fence

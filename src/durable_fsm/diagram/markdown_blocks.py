"""Blocks of a Markdown document that are filled from charts, in place.

    <!-- fsm: shop.orders:Order table -->
    …
    <!-- /fsm -->

Both comments stand on lines of their own; those in a fenced code block are an example, and stay as they are.
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
    """A block that cannot be filled; `line` counts from 1."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True, slots=True)
class Block:
    """What a block asks for: a picture of *target*, as one of `KINDS`. It stands between the lines `line` and `end`."""

    target: str
    kind: str
    line: int
    end: int


Render = Callable[[Block, str], str]
"""Takes a block and what is in it now, and returns what belongs there."""


def blocks(text: str) -> list[Block]:
    """The blocks of a document, in order.

    Raises:
        BadBlock: one has no end or no beginning, or asks for what there is not.
    """
    found: list[Block] = []
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
                raise BadBlock("this block begins inside another; close that with <!-- /fsm -->.", number)
            opened = (*_asked(begins[1], number), number)
        elif _CLOSES.fullmatch(line):
            if opened is None:
                raise BadBlock("<!-- /fsm --> closes nothing; remove it.", number)
            found.append(Block(*opened, number))
            opened = None
    if opened is not None:
        raise BadBlock("this block has no end; write <!-- /fsm --> below it.", opened[2])
    return found


def filled(text: str, render: Render) -> str:
    """The document with all blocks filled.

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
        raise BadBlock(f"there is no block '{kind}'; use {', '.join(KINDS)}.", number)
    return target, kind


def _fence(fence: str, line: str) -> str:
    """The fence that is open after a line: only its own kind, as long or longer and alone, closes it."""
    found = _FENCE.match(line)
    if found is None:
        return fence
    if not fence:
        return found[1]
    closes = found[1].startswith(fence) and not line.strip().strip(fence[0])
    return "" if closes else fence

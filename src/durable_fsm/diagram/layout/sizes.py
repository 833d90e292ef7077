"""Step 2 of the layout: the sizes of text lines, labels, boxes of states and their headers, in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from durable_fsm.core.chart import Kind
from durable_fsm.diagram.fonts import width
from durable_fsm.diagram.graph import GraphEdge, Node, Part, Role, Row

SMALL, NAME, REGION, TITLE = 11.0, 13.0, 10.0, 15.0
WRAP, LOOP_WRAP = 150.0, 120.0
SPACE = 3.3
ICON = 15.0
BOLD_ROLES = frozenset({Role.EVENT, Role.AFTER, Role.DONE, Role.ERROR})
SIGNED = frozenset({Role.AFTER, Role.DONE, Role.ERROR, Role.INVOKE, Role.EXCLUSIVE, Role.FOLDED})
DOT, HISTORY = 11.0, 24.0
LOOP = 24.0
"""How far a loop extends out of its state, in pixels; its text comes after."""
LEADING = 15.0
ROW = 16.0
CHIP = 15.0


@dataclass(frozen=True, slots=True)
class Line:
    """Parts on one line; `sign` is the role whose icon comes before them."""

    parts: Row
    width: float
    sign: Role | None = None


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Lines below each other: the text of a label."""

    lines: tuple[Line, ...]
    width: float
    height: float


def line(parts: Iterable[Part]) -> Line:
    row = tuple(parts)
    sign = row[0].role if row and row[0].role in SIGNED else None
    widths = [width(part.text, SMALL, bold=part.role in BOLD_ROLES) for part in row]
    total = sum(widths) + SPACE * max(0, len(row) - 1) + (ICON if sign else 0)
    return Line(row, total, sign)


def wrapped(parts: Row, widest: float = WRAP) -> list[Line]:
    """One transition on as few lines as possible; lines break only between parts."""
    lines: list[list[Part]] = []
    for part in parts:
        if lines and line([*lines[-1], part]).width <= widest:
            lines[-1].append(part)
        else:
            lines.append([part])
    return [line(parts) for parts in lines]


def block(rows: Iterable[Row], widest: float = WRAP) -> TextBlock:
    lines = tuple(wrap for row in rows for wrap in wrapped(row, widest))
    return TextBlock(lines, max((wrap.width for wrap in lines), default=0.0), LEADING * len(lines))


def label_of(edge: GraphEdge) -> TextBlock:
    """The text of an edge. Equal rows, as folding makes them, are merged; a loop has narrower lines."""
    return block(dict.fromkeys(label.parts for label in edge.labels), LOOP_WRAP if edge.is_loop else WRAP)


def pill_size(text: TextBlock) -> tuple[float, float]:
    """The size of a label on its line; an edge without text has a label of no size."""
    return (text.width + 16, text.height + 7) if text.lines else (2.0, 2.0)


def box_size(node: Node) -> tuple[float, float]:
    """The box of a state without drawn children."""
    if node.kind.is_history:
        return HISTORY, HISTORY
    name = width(node.name, NAME, bold=True)
    if node.kind is Kind.FINAL:
        name += 16
    widest = max([name + 2, *(line(row).width for row in node.rows), _chips(node)])
    height = (38 + ROW * len(node.rows) if node.rows else 34) + (CHIP + 5 if node.tags else 0)
    pad = 36 if node.kind is Kind.FINAL and not node.rows else 30
    return _even(max(widest + pad, 68)), _even(height)


def header_size(node: Node) -> tuple[float, float]:
    """The title band of a compound or parallel state: the width its text needs, and its height."""
    name = width(node.name, NAME, bold=True) + (18 if node.kind is Kind.PARALLEL else 0)
    widest = max([name, *(line(row).width for row in node.rows), _chips(node)])
    rows = 33 + ROW * len(node.rows) if node.rows else 29
    return widest + 28, rows + (CHIP + 3 if node.tags else 0)


def region_size(node: Node) -> tuple[float, float]:
    """The heading of a region: small capitals, then its rows."""
    name = width(node.name.upper(), REGION, bold=True) * 1.08
    widest = max([name, *(line(row).width for row in node.rows), _chips(node)])
    return widest + 24, 24 + ROW * len(node.rows) + (CHIP + 3 if node.tags else 0)


def chip_width(tag: str) -> float:
    return width(tag, REGION) + 12


def _chips(node: Node) -> float:
    return sum(chip_width(tag) + 4 for tag in node.tags) - 4 if node.tags else 0.0


def _even(value: float) -> float:
    """Round up to an even number, so that centres are whole numbers."""
    return 2.0 * round(value / 2 + 0.499)

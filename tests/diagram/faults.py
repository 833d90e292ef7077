"""Check a picture: labels must overlap nothing, lines cross no box, and text stay in its box."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.program import index_of
from durable_fsm.diagram.layout.geometry import Path, Point, Rect
from tests.diagram.drawing import Box, Drawing, Line

TOUCH = 1.0
"""Pixels that an overlap may have before anyone sees it."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with one edge, or with the picture if `edge` is empty."""

    edge: str
    what: str

    def __str__(self) -> str:
        return f"{self.edge or 'picture'}: {self.what}"


def faults(drawing: Drawing, chart: Chart) -> list[Fault]:
    """Everything wrong with the drawing of a chart. The chart says what lies in what; the rest is geometry."""
    return _Look(drawing, chart).found


class _Look:
    def __init__(self, drawing: Drawing, chart: Chart) -> None:
        self.drawing = drawing
        self.ancestors = {**index_of(chart).ancestors, "*": (ROOT,)}  # the node for every state is in no state
        self.parallel = {id for id, state in chart.states.items() if state.kind.value == "parallel"}
        self.history = {id for id, state in chart.states.items() if state.kind.is_history}
        self.found: list[Fault] = []
        self._states()
        self._labels()
        for line in drawing.lines:
            self._line(line)

    def _say(self, edge: str, what: str) -> None:
        self.found.append(Fault(edge, what))

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _states(self) -> None:
        boxes = self.drawing.boxes
        for box in boxes.values():
            for text in box.texts:
                if not _inside(text.box, box.rect):
                    self._say("", f"{text.text!r} leaves the box of {box.state}")
            parent = self.ancestors[box.state][0]
            if parent != ROOT and not self._on_border(box.state) and not _inside(box.rect, boxes[parent].rect, slack=1):
                self._say("", f"{box.state} leaves its parent {parent}")
            if not _inside(box.rect, self.drawing.canvas):
                self._say("", f"{box.state} leaves the picture")
        for one, other in combinations(boxes.values(), 2):
            if self._related(one.state, other.state):
                continue
            if _overlap(one.rect, other.rect):
                self._say("", f"{one.state} and {other.state} overlap")
        for box in boxes.values():
            for text in box.texts:
                for other in boxes.values():
                    if other.atomic and other is not box and _overlap(text.box, other.rect):
                        self._say("", f"{text.text!r} of {box.state} runs into {other.state}")

    def _on_border(self, id: str) -> bool:
        return id in self.history and self.ancestors[id][0] in self.parallel

    def _related(self, one: str, other: str) -> bool:
        """Whether one lies in the other, or on the border of the state that the other is or lies in."""
        if self._on_border(one):
            parallel = self.ancestors[one][0]
            return other in (parallel, *self.ancestors[parallel]) or parallel in self.ancestors[other]
        if self._on_border(other):
            return self._related(other, one)
        return one in self.ancestors[other] or other in self.ancestors[one]

    # ── labels ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _labels(self) -> None:
        labelled = [(line, line.label) for line in self.drawing.lines]
        for line, label in labelled:
            if label is None:
                continue
            if line.pill is not None:
                for text in line.texts:
                    if not _inside(text.box, line.pill):
                        self._say(line.key, f"{text.text!r} leaves its label")
            if not _inside(label, self.drawing.canvas):
                self._say(line.key, "its label leaves the picture")
            for box in self.drawing.boxes.values():
                if _overlap(label, box.rect) and (box.atomic or not _inside(label, box.rect)):
                    self._say(line.key, f"its label lies on {box.state}")
                for text in box.texts:
                    if _overlap(label, text.box):
                        self._say(line.key, f"its label lies on {text.text!r} of {box.state}")
            for dot in self.drawing.dots:
                if _overlap(label, dot):
                    self._say(line.key, "its label lies on an initial dot")
        for (one, first), (other, second) in combinations(labelled, 2):
            if first is not None and second is not None and _overlap(first, second):
                self._say(one.key, f"its label lies on that of {other.key}")
                self._say(other.key, f"its label lies on that of {one.key}")

    # ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _line(self, line: Line) -> None:
        ends = {line.source, *line.targets} - {""}
        around = {above for end in ends for above in self.ancestors[end]}
        for box in self.drawing.boxes.values():
            if box.state in around and box.state not in ends:
                self._through_texts(line, box)
                continue
            if box.state in ends:
                self._through_end(line, box)
            elif any(path.hits(box.rect.grown(-TOUCH)) for path in line.paths):
                self._say(line.key, f"runs through {box.state}")
        for other in self.drawing.lines:
            label = other.label
            if other is line or label is None:
                continue
            if any(path.hits(label.grown(-TOUCH)) for path in line.paths):
                self._say(line.key, f"runs through the label of {other.key}")
        if "fsm-transition" in line.classes:
            self._ends(line)

    def _through_texts(self, line: Line, box: Box) -> None:
        for text in box.texts:
            if any(path.hits(text.box.grown(-TOUCH)) for path in line.paths):
                self._say(line.key, f"runs through {text.text!r} of {box.state}")

    def _through_end(self, line: Line, box: Box) -> None:
        """A line may lie inside of one of its ends only on the way to another one in there."""
        if any(box.state in self.ancestors[other] for other in (line.source, *line.targets) if other):
            self._through_texts(line, box)
        elif any(path.hits(box.rect.grown(-2.5)) for path in line.paths):
            self._say(line.key, f"runs through its own end {box.state}")

    def _ends(self, line: Line) -> None:
        if "loop" in line.classes:
            return
        starts = [path.start for path in line.paths]
        tips = [path.end for path in line.paths]
        if not any(self._touches(start, line.source) for start in starts):
            self._say(line.key, f"does not begin at {line.source}")
        for target in line.targets:
            if not any(self._touches(tip, target) for tip in tips):
                self._say(line.key, f"does not end at {target}")

    def _touches(self, point: Point, state: str) -> bool:
        """Whether the point lies on the outline, or under the title band, where lines into the inside begin."""
        box, rule = self.drawing.boxes[state].rect, self.drawing.boxes[state].rule
        if state in self.history:
            return abs(math.dist(point, (box.x, box.y)) - box.width / 2) < 1.5
        if rule is not None and abs(point[1] - rule) < 1.5 and box.left < point[0] < box.right:
            return True
        grown, shrunk = box.grown(1.5), box.grown(-1.5)
        return _contains(grown, point) and not _contains(shrunk, point)


def _contains(rect: Rect, point: Point) -> bool:
    return rect.left < point[0] < rect.right and rect.top < point[1] < rect.bottom


def _overlap(one: Rect, other: Rect) -> bool:
    return one.grown(-TOUCH / 2).overlaps(other.grown(-TOUCH / 2))


def _inside(inner: Rect, outer: Rect, slack: float = 0) -> bool:
    return (
        outer.left - slack <= inner.left
        and inner.right <= outer.right + slack
        and outer.top - slack <= inner.top
        and inner.bottom <= outer.bottom + slack
    )


def lines_on_lines(drawing: Drawing) -> Iterable[tuple[str, str]]:
    """Pairs of edges that run along each other so closely, for so long, that they look like one."""
    for one, other in combinations(drawing.lines, 2):
        if any(_alike(first, second) > 16 for first in one.paths for second in other.paths):
            yield one.key, other.key


def _alike(one: Path, other: Path) -> float:
    if not one.bounds.grown(1).overlaps(other.bounds.grown(1)):
        return 0.0
    walked = [point for path in (one,) for point in _steps(path)]
    near = _steps(other)
    return 4.0 * sum(any(abs(x - a) < 2.2 and abs(y - b) < 2.2 for a, b in near) for x, y in walked)


def _steps(path: Path, length: float = 4.0) -> list[Point]:
    found: list[Point] = []
    for (x0, y0), (x1, y1) in zip(path.points, path.points[1:], strict=False):
        pieces = max(1, int(math.dist((x0, y0), (x1, y1)) / length))
        found += [(x0 + (x1 - x0) * step / pieces, y0 + (y1 - y0) * step / pieces) for step in range(pieces)]
    return found

"""Read back what an SVG of ours shows, from its text alone: boxes, lines, labels and texts in pixels.

This code knows only the format of the SVG, not the code of the layout, so that both cannot have the same mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree import ElementTree

from durable_fsm.diagram.fonts import width
from durable_fsm.diagram.layout.geometry import Path, Point, Rect

SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"name": 13.0, "title": 15.0, "region-name": 10.0, "tag-name": 10.0, "count": 10.0}
BOLD = {"name", "title", "region-name", "count", "event", "after", "done", "error"}
SPACED = {"region-name": 0.06}  # letter-spacing, in sizes


@dataclass(frozen=True)
class Text:
    """A line of text; `number` counts the texts of the document."""

    number: int
    text: str
    box: Rect


@dataclass
class Box:
    """A state: its outline, the lower edge of its title band if it has one, and the texts that belong into it."""

    state: str
    rect: Rect
    atomic: bool
    classes: tuple[str, ...]
    rule: float | None = None
    texts: list[Text] = field(default_factory=list[Text])


@dataclass
class Line:
    """A transition or an initial arrow: its lines in one piece each, its label, and the texts on it."""

    key: str
    source: str
    targets: tuple[str, ...]
    paths: list[Path]
    pill: Rect | None
    bar: Rect | None
    texts: list[Text]
    classes: tuple[str, ...]

    @property
    def label(self) -> Rect | None:
        """Where the label is: its pill, or all its text if it has none."""
        found = self.pill
        for text in self.texts:
            found = text.box if found is None else found.union(text.box)
        return found


Measure = Callable[[int, ElementTree.Element], float]
"""How wide a text is drawn; gets its number in the document and its element."""


def by_helvetica(_: int, element: ElementTree.Element) -> float:
    """The width by the built-in table, without its safety margin."""
    return _helvetica(element, SIZES.get(element.get("class", ""), 11.0)) / 1.06


def _helvetica(element: ElementTree.Element, size: float, *, bold: bool = False) -> float:
    style = element.get("class", "")
    bold = bold or style in BOLD or element.get("font-weight") == "600"
    total = width(element.text or "", size, bold=bold)
    total += SPACED.get(style, 0) * size * len(element.text or "")
    for child in element:
        total += _helvetica(child, size, bold=bold) + width(child.tail or "", size, bold=bold)
    return total


class Drawing:
    """A picture read back. Coordinates are those of the drawing's group, as the writer uses them."""

    def __init__(self, svg: str, measure: Measure = by_helvetica) -> None:
        self.root = ElementTree.fromstring(svg)
        self.measure = measure
        self.numbers = {element: number for number, element in enumerate(self.root.iter(f"{SVG}text"))}
        self.boxes: dict[str, Box] = {}
        self.lines: list[Line] = []
        self.dots: list[Rect] = []
        group = self.root.find(f"{SVG}g")
        assert group is not None
        dx, dy = map(float, re.findall(r"[-\d.]+", group.get("transform", "")))
        right, bottom = float(self.root.get("width", 0)), float(self.root.get("height", 0))
        self.canvas = Rect(-dx, -dy, right - dx, bottom - dy)
        self.heading = [self._text(text, -dx, -dy) for text in self.root.findall(f"{SVG}text")]
        for element in group:
            classes = tuple(element.get("class", "").split())
            if "fsm-state" in classes:
                self._state(element, classes)
            elif "fsm-transition" in classes or "fsm-initial" in classes:
                self._line(element, classes)

    def _state(self, group: ElementTree.Element, classes: tuple[str, ...]) -> None:
        shapes = [item for item in group.iter() if item.get("class") in ("box", "frame", "hit")]
        state = group.get("data-state", "")
        box = Box(state, _outline(shapes[0]), shapes[0].get("class") == "box", classes)
        for band in group.iter():
            if band.get("class", "").startswith("band"):
                box.rule = float(re.findall(r"-?[\d.]+", band.get("d", ""))[1])
        box.texts += [self._text(text) for text in group.iter(f"{SVG}text") if text.get("class") != "count"]
        self.boxes[state] = box

    def _line(self, group: ElementTree.Element, classes: tuple[str, ...]) -> None:
        paths: list[Path] = []
        for item in group.iter():
            if item.get("class") == "edge":
                paths.append(path_of(item.get("d", "")))
            elif item.get("class") == "head":  # the line before it ends under the head
                tip = path_of(item.get("d", "")).start
                paths[-1] = Path((*paths[-1].segments, (paths[-1].end, tip)))
            elif item.get("class") == "dot":
                self.dots.append(_outline(item))
        pills = [_outline(item) for item in group.iter() if item.get("class") == "pill"]
        bars = [_outline(item) for item in group.iter() if item.get("class") == "bar"]
        texts = [self._text(text) for text in group.iter(f"{SVG}text") if text.get("class") != "count"]
        targets = tuple((group.get("data-target") or group.get("data-state", "")).split())
        key = group.get("data-key") or f"initial {' '.join(targets)}"
        self.lines.append(
            Line(
                key,
                group.get("data-source", ""),
                targets,
                paths,
                pills[0] if pills else None,
                bars[0] if bars else None,
                texts,
                classes,
            )
        )

    def _text(self, element: ElementTree.Element, dx: float = 0, dy: float = 0) -> Text:
        number = self.numbers[element]
        across = self.measure(number, element)
        size = SIZES.get(element.get("class", ""), 11.0)
        x, y = float(element.get("x", 0)) + dx, float(element.get("y", 0)) + dy
        left = x - across / 2 if element.get("text-anchor") == "middle" else x
        text = "".join(element.itertext())
        return Text(number, text, Rect(left, y - 0.78 * size, left + across, y + 0.22 * size))


def path_of(data: str) -> Path:
    """A path of absolute moves, lines and cubic curves; a closed one stays open."""
    segments: list[tuple[Point, ...]] = []
    here: Point = (0.0, 0.0)
    for letter, body in re.findall(r"([MLCZ])([^MLCZ]*)", data):
        numbers = [float(number) for number in re.findall(r"-?[\d.]+", body)]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if letter == "M":
            here = points[0]
        elif letter == "L":
            for point in points:
                segments.append((here, point))
                here = point
        elif letter == "C":
            for start in range(0, len(points), 3):
                segments.append((here, *points[start : start + 3]))
                here = points[start + 2]
    return Path(tuple(segments) or ((here, here),))


def _outline(shape: ElementTree.Element) -> Rect:
    if shape.tag == f"{SVG}circle":
        radius = float(shape.get("r", 0))
        return Rect.around(float(shape.get("cx", 0)), float(shape.get("cy", 0)), 2 * radius, 2 * radius)
    left, top = float(shape.get("x", 0)), float(shape.get("y", 0))
    return Rect(left, top, left + float(shape.get("width", 0)), top + float(shape.get("height", 0)))

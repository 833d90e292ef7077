"""Points, rectangles and paths, in pixels; y points down. Every step of the layout uses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
Segment: TypeAlias = tuple[Point, ...]
"""Two points are a line, four a cubic Bézier curve."""


@dataclass(frozen=True, slots=True)
class Rect:
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, x: float, y: float, width: float, height: float) -> Rect:
        """The rectangle of this size with its centre in (x, y)."""
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def x(self) -> float:
        return (self.left + self.right) / 2

    @property
    def y(self) -> float:
        return (self.top + self.bottom) / 2

    def grown(self, by: float) -> Rect:
        return Rect(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def moved(self, dx: float, dy: float) -> Rect:
        return Rect(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)

    def transposed(self) -> Rect:
        return Rect(self.top, self.left, self.bottom, self.right)

    def overlaps(self, other: Rect) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def union(self, other: Rect) -> Rect:
        return Rect(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


@dataclass(frozen=True)
class Path:
    """Connected segments, in order from the start to the end."""

    segments: tuple[Segment, ...]

    @property
    def start(self) -> Point:
        return self.segments[0][0]

    @property
    def end(self) -> Point:
        return self.segments[-1][-1]

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """The path as a polyline, with ten lines for each curve."""
        found: list[Point] = [self.start]
        for segment in self.segments:
            found += sampled(segment)
        return tuple(found)

    @cached_property
    def bounds(self) -> Rect:
        xs = [x for x, _ in self.points]
        ys = [y for _, y in self.points]
        return Rect(min(xs), min(ys), max(xs), max(ys))

    def reversed(self) -> Path:
        return Path(tuple(tuple(reversed(segment)) for segment in reversed(self.segments)))

    def moved(self, dx: float, dy: float) -> Path:
        return Path(tuple(tuple((x + dx, y + dy) for x, y in segment) for segment in self.segments))

    def transposed(self) -> Path:
        return Path(tuple(tuple((y, x) for x, y in segment) for segment in self.segments))

    def hits(self, rect: Rect) -> bool:
        """Whether any part of the path lies inside the rectangle."""
        if not self.bounds.grown(0.1).overlaps(rect):
            return False
        points = self.points
        return any(_line_hits(points[i], points[i + 1], rect) for i in range(len(points) - 1))

    def crossings(self, other: Path) -> int:
        """How many times two paths cross."""
        if not self.bounds.grown(1).overlaps(other.bounds.grown(1)):
            return 0
        mine, theirs = _near_lines(self.points, other.bounds), _near_lines(other.points, self.bounds)
        return sum(
            _crosses(a, b, c, d)
            for a, b, top, bottom in mine
            for c, d, upper, lower in theirs
            if top <= lower and upper <= bottom
        )


def joined(paths: Iterable[Path]) -> Path:
    """Join consecutive paths; lines close the gaps between them."""
    segments: list[Segment] = []
    for path in paths:
        if segments and segments[-1][-1] != path.start:
            segments.append((segments[-1][-1], path.start))
        segments += path.segments
    return Path(tuple(merged(segments)))


def merged(segments: Iterable[Segment]) -> list[Segment]:
    """Drop empty segments, and merge consecutive lines that are all vertical or all horizontal."""
    found: list[Segment] = []
    for segment in segments:
        if len(segment) == 2 and _near(segment[0], segment[1]):
            continue
        last = found[-1] if found else None
        if last is not None and len(last) == len(segment) == 2:
            xs = {round(x, 3) for x, _ in (*last, *segment)}
            ys = {round(y, 3) for _, y in (*last, *segment)}
            if len(xs) == 1 or len(ys) == 1:
                found[-1] = (last[0], segment[1])
                continue
        found.append(segment)
    return found


def sampled(segment: Segment, pieces: int = 10) -> list[Point]:
    """Points along a segment, without its start."""
    if len(segment) == 2:
        return [segment[1]]
    return [at(segment, step / pieces) for step in range(1, pieces + 1)]


def at(curve: Sequence[Point], t: float) -> Point:
    """The point of a cubic Bézier curve at *t*, from 0 to 1."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve
    u = 1 - t
    a, b, c, d = u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t
    return a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3


def split(curve: Segment, t: float) -> tuple[Segment, Segment]:
    """Split a cubic Bézier curve at *t*, by de Casteljau's algorithm."""

    def mid(p: Point, q: Point) -> Point:
        return p[0] + (q[0] - p[0]) * t, p[1] + (q[1] - p[1]) * t

    p0, p1, p2, p3 = curve
    a, b, c = mid(p0, p1), mid(p1, p2), mid(p2, p3)
    d, e = mid(a, b), mid(b, c)
    f = mid(d, e)
    return (p0, a, d, f), (f, e, c, p3)


def _near_lines(points: Sequence[Point], rect: Rect) -> list[tuple[Point, Point, float, float]]:
    """The lines of a polyline that may touch the rectangle, each with its upper and lower y."""
    found: list[tuple[Point, Point, float, float]] = []
    for p, q in pairwise(points):
        top, bottom = (p[1], q[1]) if p[1] < q[1] else (q[1], p[1])
        if top > rect.bottom or bottom < rect.top:
            continue
        if max(p[0], q[0]) >= rect.left and min(p[0], q[0]) <= rect.right:
            found.append((p, q, top, bottom))
    return found


def _near(p: Point, q: Point) -> bool:
    return abs(p[0] - q[0]) < 0.01 and abs(p[1] - q[1]) < 0.01


def _line_hits(p: Point, q: Point, rect: Rect) -> bool:
    """Whether a part of a line lies inside, by the Liang–Barsky algorithm."""
    (x, y), dx, dy = p, q[0] - p[0], q[1] - p[1]
    low, high = 0.0, 1.0
    for step, room in ((-dx, x - rect.left), (dx, rect.right - x), (-dy, y - rect.top), (dy, rect.bottom - y)):
        if step == 0:
            if room <= 0:
                return False
        elif step < 0:
            low = max(low, room / step)
        else:
            high = min(high, room / step)
    return low < high


def _crosses(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Whether two lines cross: each has its ends on different sides of the other."""
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = a, b, c, d
    x, y = bx - ax, by - ay
    if (x * (cy - ay) - y * (cx - ax)) * (x * (dy - ay) - y * (dx - ax)) >= 0:
        return False
    x, y = dx - cx, dy - cy
    return (x * (ay - cy) - y * (ax - cx)) * (x * (by - cy) - y * (bx - cx)) < 0

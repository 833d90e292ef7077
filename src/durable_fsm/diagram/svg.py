"""Write a picture as SVG, with stable ids and keys, tooltips, links and one scoped style sheet."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from html import escape

from durable_fsm.core.chart import Chart, Kind
from durable_fsm.core.values import Location
from durable_fsm.diagram.extract import folded_in, graph_of
from durable_fsm.diagram.fonts import width
from durable_fsm.diagram.graph import ANYWHERE, EdgeKind, GraphEdge, Part, Role
from durable_fsm.diagram.layout.assembly import DrawnDot, DrawnEdge, DrawnState, Layout, lay_out
from durable_fsm.diagram.layout.geometry import Path, Point, Rect, at, split
from durable_fsm.diagram.layout.sizes import (
    BOLD_ROLES,
    CHIP,
    ICON,
    LEADING,
    NAME,
    REGION,
    ROW,
    SMALL,
    TITLE,
    Line,
    chip_width,
    line,
)
from durable_fsm.diagram.overlay import Mark, Overlay
from durable_fsm.diagram.overlay_drawing import Legend, badges, overlay_css, right_corner
from durable_fsm.diagram.overlay_drawing import classes as marked
from durable_fsm.diagram.stamp import link, stamp
from durable_fsm.diagram.theme import Theme
from durable_fsm.diagram.theme import css as style_sheet

MARGIN, HEADING = 18.0, 40.0
CARDS = (7.0, 3.5)
_ICONS = {
    Role.AFTER: "M6 1.2a4.8 4.8 0 1 0 .01 0M6 3.4V6l1.9 1.2",
    Role.DONE: "M1.6 6.4l2.9 2.9L10.4 3",
    Role.ERROR: "M7 .8L2.4 6.8h3L4.6 11.2 9.4 5h-3z",
    Role.INVOKE: "M6 1.2a4.8 4.8 0 1 0 .01 0M4.9 3.9v4.2L8.3 6z",
    Role.EXCLUSIVE: "M6 .6a5.4 5.4 0 1 0 .01 0zM4.6 3.3v5.4L9 6z",
    Role.FOLDED: "M1.8 1.8h8.4v8.4h-8.4zM6 3.8v4.4M3.8 6h4.4",
}


def to_svg(
    chart: Chart,
    *,
    theme: Theme = "auto",
    depth: int | None = None,
    active: Collection[str] = (),
    taken: Collection[str] = (),
    possible: Collection[str] = (),
    direction: str = "TB",
    id_prefix: str = "",
    heat: Mapping[str, float] | None = None,
    source_url: str | None = None,
    css: bool = True,
    overlay: Overlay | None = None,
) -> str:
    """Draw a chart.

    Args:
        theme: `light` and `dark` have fixed colours; `auto` follows the reader's setting; `vars` takes the colours from
            the `--fsm-*` properties of the page.
        depth: how many levels of states to draw; deeper ones are folded.
        active: ids of active states.
        taken: keys of transitions just taken.
        possible: events that can be sent now, or keys of transitions.
        direction: `TB`, downwards, or `LR`, to the right, for pictures without nested states.
        id_prefix: a prefix of every id, for several pictures on one page.
        heat: the numbers of a heat map, for states by id and transitions by key.
        source_url: the address of the definition, with `{file}` and `{line}` to be filled in.
        css: whether the picture brings its style sheet. A page that forbids inline styles has `theme.css('vars')` in its
            own; transitions of a heat map then have a class, `heat-1` to `heat-4`. With an overlay, the page also needs
            `overlay_drawing.overlay_css('vars')`.
        overlay: marks on states and transitions, with a legend; see `durable_fsm.diagram.overlay`.

    Raises:
        ValueError: the theme, the depth or the direction is unknown.
        NoEngine: no layout program is installed.
    """
    if theme not in ("light", "dark", "auto", "vars"):
        raise ValueError(f"unknown theme {theme!r}; use 'light', 'dark', 'auto' or 'vars'")
    graph = graph_of(chart, depth=depth, active=active, taken=taken, possible=possible, heat=heat, condensed=True)
    mark = stamp(graph, theme=theme, direction=direction, id_prefix=id_prefix, source_url=source_url, overlay=overlay)
    hidden = folded_in(chart, graph) if overlay is not None else {}
    drawn = lay_out(graph, direction)
    return _SvgWriter(drawn, theme, id_prefix, source_url, mark, css=css, overlay=overlay, hidden=hidden).svg()


class _SvgWriter:
    def __init__(
        self,
        drawn: Layout,
        theme: Theme,
        prefix: str,
        source_url: str | None,
        mark: str,
        *,
        css: bool = True,
        overlay: Overlay | None = None,
        hidden: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.overlay = overlay
        self.hidden = hidden or {}
        self.drawn = drawn
        self.theme: Theme = theme
        self.prefix = prefix
        self.source_url = source_url
        self.mark = mark
        self.css = css
        self.hottest = max(
            [state.node.heat or 0 for state in drawn.states] + [edge.edge.heat or 0 for edge in drawn.edges], default=0
        )

    def svg(self) -> str:
        graph = self.drawn.graph
        heading = HEADING + (16 if graph.summary else 0)
        texts = max(width(graph.title, TITLE, bold=True), width(graph.summary, SMALL))
        beside = 6 if self.hottest == 0 else 40  # room for the number of a heat map at the right border
        legend = Legend.of(self.overlay, max(self.drawn.bounds.width, texts)) if self.overlay is not None else None
        beside = beside if legend is None else 20
        least = 0.0 if legend is None else legend.width
        across = num(max(self.drawn.bounds.width, texts, least) + 2 * MARGIN + beside)
        below = heading + self.drawn.bounds.height + 8
        down = num(self.drawn.bounds.height + heading + MARGIN + (0 if legend is None else legend.height))
        name = f"{self.prefix}fsm-{graph.name.lower()}"
        labelled = f'role="img" aria-labelledby="{esc(name)}-t {esc(name)}-d"'
        size = f'width="{across}" height="{down}" viewBox="0 0 {across} {down}"'
        machine = f'data-machine="{esc(graph.name)}" data-model="{self.mark}"'
        out = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="fsm" {labelled} {size} {machine}>',
            f'<title id="{esc(name)}-t">{esc(graph.title)}</title>',
            f'<desc id="{esc(name)}-d">{esc(self._description())}</desc>',
            *([f"<style>{self._sheet()}</style>"] if self.css else []),
            f'<rect class="bg" width="{across}" height="{down}"/>',
            text("title", MARGIN, 27, graph.title),
        ]
        if graph.summary:
            out.append(text("subtitle", MARGIN, 43, graph.summary))
        out.append(f'<g transform="translate({num(MARGIN)},{num(heading)})">')
        containers = [state for state in self.drawn.states if state.node.children]
        others = [state for state in self.drawn.states if state not in containers]
        for state in containers:
            out += self._state(state)
        for state in others:
            out += self._stack(state)
        for dot in self.drawn.dots:
            out += self._dot(dot)
        for edge in sorted(self.drawn.edges, key=lambda drawn: drawn.edge.taken):  # the last one covers a shared trunk
            out += self._edge(edge)
        for state in others:
            out += self._state(state)
        foot = [] if legend is None else legend.drawn(MARGIN, below)
        return "\n".join([*out, "</g>", *foot, "</svg>", ""])

    def _sheet(self) -> str:
        sheet = style_sheet(self.theme)
        return sheet if self.overlay is None else f"{sheet}\n{overlay_css(self.theme)}"

    def _description(self) -> str:
        told = self.drawn.graph.description
        return told if self.overlay is None else f"{told} {self.overlay.sentences}"

    def _marks_on(self, state: DrawnState) -> list[Mark]:
        """The marks of a state, and of those that are folded into it."""
        if self.overlay is None or state.node.id == ANYWHERE:
            return []
        return self.overlay.on((state.node.id, *self.hidden.get(state.node.id, ())), self.overlay.states)

    def _marks_along(self, edge: GraphEdge) -> list[Mark]:
        """The marks of the transitions of an edge."""
        if self.overlay is None:
            return []
        return self.overlay.on([label.key for label in edge.labels], self.overlay.transitions)

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _state(self, state: DrawnState) -> Iterable[str]:
        node = state.node
        kind = "history" if node.kind.is_history else "anywhere" if node.id == ANYWHERE else node.kind.value
        classes = ["fsm-state", kind, "region" if node.region else "", "initial" if node.initial else ""]
        classes += ["is-active" if node.active else ""]
        marks = self._marks_on(state)
        classes += marked(marks)
        tooltip = [f"{node.name} ({node.path or node.id})" if node.id != ANYWHERE else node.name]
        tooltip += [" ".join(part.text for part in row) for row in node.rows]
        tooltip += [f"accepts: {', '.join(node.accepts)}"] if node.accepts else []
        tooltip += [mark.tooltip for mark in marks if mark.shown.strip()]
        title = "\n".join(tooltip)
        body = [f"<title>{esc(title)}</title>", *self._shape(state), *self._badge(node.heat, state.box)]
        body += badges(marks, *right_corner(state.box))
        yield (
            f'<g id="{esc(self.prefix)}state-{esc(node.id)}" class="{" ".join(filter(None, classes))}"'
            f' data-state="{esc(node.id)}">'
        )
        yield from self._linked(body, node.location)
        yield "</g>"

    def _shape(self, state: DrawnState) -> list[str]:
        node = state.node
        if node.kind.is_history:
            letter = "H*" if node.kind is Kind.DEEP_HISTORY else "H"
            x, y = num(state.box.x), num(state.box.y)
            return [
                f'<circle class="box" cx="{x}" cy="{y}" r="12"/>',
                f'<text x="{x}" y="{num(state.box.y + 4)}" text-anchor="middle" font-weight="600">{letter}</text>',
            ]
        if node.region and node.kind is Kind.COMPOUND:
            return self._region(state)
        if node.id == ANYWHERE:
            return self._anywhere(state.box, node.name)
        return self._compound(state) if node.children else self._box(state)

    @staticmethod
    def _anywhere(box: Rect, name: str) -> list[str]:
        """A dashed stadium: it is not a state."""
        outline = rect("box", box, box.height / 2).replace("/>", ' stroke-dasharray="4 3"/>')
        return [outline, f'<text x="{num(box.x)}" y="{num(box.y + 4)}" text-anchor="middle">{esc(name)}</text>']

    def _box(self, state: DrawnState) -> list[str]:
        node, box = state.node, state.box
        final = node.kind is Kind.FINAL
        round = min(17.0, box.height / 2) if final else 9.0
        out = [rect("shadow", box.moved(0.5, 2), round), rect("box", box, round)]
        out += [rect("ring", box.grown(-3), round - 3)] if final else []
        alone = not node.rows and not node.tags
        y = box.y + 4.6 if alone else box.top + 20
        if final:
            start = box.x - (width(node.name, NAME, bold=True) / (1.06) + 12) / 2
            out.append(f'<circle class="ring" cx="{num(start)}" cy="{num(y - 4.6)}" r="5.6"/>')
            out.append(f'<circle class="dot" cx="{num(start)}" cy="{num(y - 4.6)}" r="3"/>')
            out.append(text("name", start + 12, y, node.name))
        else:
            out.append(text("name", box.x, y, node.name, middle=True))
        if not alone:
            inset = 3.0 if final else 0.0
            out.append(shape("rule", f"M{num(box.left + inset)},{num(box.top + 29)}H{num(box.right - inset)}"))
            out += self._rows([line(row) for row in node.rows], box.left + 15, box.top + 45)
            out += self._chips(node.tags, box.left + 15, box.bottom - CHIP - 6)
        return out

    def _stack(self, state: DrawnState) -> list[str]:
        """The cards behind a state that does something for each of many items; lines are drawn over them."""
        return [rect("box card", state.box.moved(shift, shift), 9) for shift in CARDS] if state.node.many else []

    def _compound(self, state: DrawnState) -> list[str]:
        node, box = state.node, state.box
        tint = (node.depth - 1) % 3 + 1
        rule = box.top + state.header
        band = (
            f"M{num(box.left)},{num(rule)}V{num(box.top + 12)}a12,12 0 0 1 12,-12H{num(box.right - 12)}"
            f"a12,12 0 0 1 12,12V{num(rule)}Z"
        )
        x = box.left + 14 + state.shift
        out = [
            rect(f"tint{tint}", box, 12),
            shape(f"band{tint}", band),
            rect("frame", box, 12),
            text("name", x, box.top + 19, node.name),
            shape("rule", f"M{num(box.left)},{num(rule)}H{num(box.right)}"),
        ]
        if node.kind is Kind.PARALLEL:
            bars = x + width(node.name, NAME, bold=True) + 6
            out.append(shape("icon", f"M{num(bars)},{num(box.top + 9)}v11m4,-11v11"))
            out += [shape("divider", path_data(path)) for owner, path in self.drawn.dividers if owner == node.id]
        out += self._rows([line(row) for row in node.rows], x, box.top + 36)
        return out + self._chips(node.tags, x, rule - CHIP - 5)

    def _region(self, state: DrawnState) -> list[str]:
        node, box = state.node, state.box
        x = box.left + 12 + state.shift
        size = f'x="{num(box.left)}" y="{num(box.top)}" width="{num(box.width)}" height="{num(box.height)}"'
        out = [
            f'<rect class="hit" {size} fill="none" pointer-events="all"/>',
            text("region-name", x, box.top + 18, node.name.upper()),
        ]
        out += self._rows([line(row) for row in node.rows], x, box.top + 34)
        return out + self._chips(node.tags, x, box.top + 26 + ROW * len(node.rows))

    def _rows(self, lines: Iterable[Line], x: float, y: float) -> list[str]:
        out: list[str] = []
        for number, row in enumerate(lines):
            out += self._line(row, x, y + number * ROW)
        return out

    def _chips(self, tags: Iterable[str], x: float, y: float) -> list[str]:
        out: list[str] = []
        for tag in tags:
            across = chip_width(tag)
            out.append(rect("tag", Rect(x, y, x + across, y + CHIP), 7))
            out.append(text("tag-name", x + across / 2, y + 11, tag, middle=True))
            x += across + 4
        return out

    # ── edges ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _dot(self, dot: DrawnDot) -> Iterable[str]:
        x, y = num(dot.dot.x), num(dot.dot.y)
        yield f'<g class="fsm-initial" data-state="{esc(" ".join(dot.initial.targets))}">'
        if dot.initial.actions:
            yield f"<title>{esc(' '.join(part.text for part in dot.initial.actions))}</title>"
        yield f'<circle class="dot" cx="{x}" cy="{y}" r="5.5"/>'
        yield from arrow(dot.arrow)
        yield "</g>"

    def _edge(self, drawn: DrawnEdge) -> Iterable[str]:
        edge = drawn.edge
        classes = [f"fsm-transition t-{edge.kind.value}", "loop" if edge.is_loop else ""]
        classes += ["is-taken" if edge.taken else "", "is-possible" if edge.possible else ""]
        classes += ["" if self.css or not self._share(edge) else f"heat-{math.ceil(4 * self._share(edge))}"]
        marks = self._marks_along(edge)
        classes += marked(marks)
        numbers = " ".join(str(label.number) for label in edge.labels if label.number >= 0)
        keys = " ".join(label.key for label in edge.labels)
        first = numbers.split(" ")[0] or f"default-{edge.source}"
        yield (
            f'<g id="{esc(self.prefix)}transition-{esc(first)}" class="{" ".join(filter(None, classes))}"'
            f' data-source="{esc(edge.source)}" data-target="{esc(" ".join(edge.targets))}"'
            f' data-transitions="{numbers}" data-key="{esc(keys)}">'
        )
        words = [*(label.tooltip for label in edge.labels), *(mark.tooltip for mark in marks)]
        yield f"<title>{esc(chr(10).join(words))}</title>"
        style = ' stroke-dasharray="4 3"' if edge.kind is EdgeKind.DEFAULT else self._heat_width(edge)
        for path in drawn.lines:
            yield f'<path class="edge"{style} d="{path_data(path)}"/>'
        for path in drawn.arrows:
            yield from arrow(path, style)
        if drawn.bar is not None:
            yield rect("bar", drawn.bar, 2)
        if drawn.pill is not None:
            body = [] if edge.is_loop else [rect("pill", drawn.pill, 7)]
            yield from self._linked([*body, *self._label(drawn, drawn.pill)], edge.labels[0].location)
            yield from self._badge(edge.heat, drawn.pill)
            yield from badges(marks, *right_corner(drawn.pill))
        yield "</g>"

    def _label(self, drawn: DrawnEdge, pill: Rect) -> list[str]:
        out: list[str] = []
        loop = drawn.edge.is_loop
        top = pill.top + (pill.height - drawn.text.height) / 2 + 11
        for number, row in enumerate(drawn.text.lines):
            x = pill.left if loop else pill.left + 8 + (drawn.text.width - row.width) / 2
            middle = None if loop or row.sign else pill.x
            out += self._line(row, x, top + number * LEADING, middle)
        return out

    def _line(self, row: Line, x: float, y: float, middle: float | None = None) -> list[str]:
        out: list[str] = []
        if row.sign is not None:
            mark = "icon-full" if row.sign is Role.EXCLUSIVE else f"icon icon-{row.sign.value}"
            out.append(f'<path class="{mark}" transform="translate({num(x)},{num(y - 9.6)})" d="{_ICONS[row.sign]}"/>')
            x += ICON
        spans = " ".join(_span(part) for part in row.parts)
        where = f'x="{num(x)}"' if middle is None else f'x="{num(middle)}" text-anchor="middle"'
        return [*out, f'<text {where} y="{num(y)}">{spans}</text>']

    # ── numbers and links ─────────────────────────────────────────────────────────────────────────────────────────────

    def _heat_width(self, edge: GraphEdge) -> str:
        share = self._share(edge) if self.css else 0.0
        return f' style="stroke-width:{num(1.4 + 2.6 * share)}"' if share else ""

    def _share(self, edge: GraphEdge) -> float:
        """How hot an edge is, from 0 to 1."""
        if not edge.heat or self.hottest <= 0:
            return 0.0
        return math.log1p(max(edge.heat, 0)) / math.log1p(self.hottest)

    def _badge(self, heat: float | None, box: Rect) -> list[str]:
        """The number of a heat map, at the upper right corner."""
        if heat is None:
            return []
        number = f"{heat:,.0f}".replace(",", " ") if float(heat).is_integer() else f"{heat:.3g}"
        across = width(number, REGION, bold=True) + 12
        badge = Rect(box.right - 10, box.top - 9, box.right - 10 + across, box.top + 6)
        return [rect("badge", badge, 7.5), text("count", badge.x, badge.y + 3.6, number, middle=True)]

    def _linked(self, body: list[str], location: Location | None) -> Iterable[str]:
        if self.source_url is None or location is None:
            return body
        return [f'<a href="{esc(link(self.source_url, location))}">', *body, "</a>"]


# ── pieces of SVG ─────────────────────────────────────────────────────────────────────────────────────────────────────


def num(value: float) -> str:
    """A number with at most one decimal, so that rounding errors never show."""
    shown = f"{value:.1f}"
    return "0" if shown in ("-0.0", "0.0") else shown.removesuffix(".0")


def esc(text: str) -> str:
    return escape(text, quote=True)


def rect(style: str, box: Rect, radius: float) -> str:
    return (
        f'<rect class="{style}" x="{num(box.left)}" y="{num(box.top)}" width="{num(box.width)}"'
        f' height="{num(box.height)}" rx="{num(radius)}"/>'
    )


def text(style: str, x: float, y: float, content: str, *, middle: bool = False) -> str:
    anchor = ' text-anchor="middle"' if middle else ""
    return f'<text class="{style}" x="{num(x)}" y="{num(y)}"{anchor}>{esc(content)}</text>'


def shape(style: str, data: str) -> str:
    return f'<path class="{style}" d="{data}"/>'


def path_data(path: Path) -> str:
    out = [f"M{_at(path.start)}"]
    for segment in path.segments:
        letter = "L" if len(segment) == 2 else "C"
        out.append(letter + " ".join(_at(point) for point in segment[1:]))
    return "".join(out)


def arrow(path: Path, style: str = "") -> Iterable[str]:
    """A line with an arrow head, whose tip is the end of the path."""
    (tip_x, tip_y), (back_x, back_y) = path.end, _before_end(path)
    length = math.hypot(tip_x - back_x, tip_y - back_y) or 1.0
    ux, uy = (tip_x - back_x) / length, (tip_y - back_y) / length

    def spot(along: float, aside: float) -> Point:
        return tip_x - ux * along - uy * aside, tip_y - uy * along + ux * aside

    head = "L".join(_at(spot(*where)) for where in ((0, 0), (8.5, 3.3), (6.6, 0), (8.5, -3.3)))
    yield f'<path class="edge"{style} d="{path_data(_shortened(path))}"/>'
    yield shape("head", f"M{head}Z")


def _before_end(path: Path, length: float = 8.0) -> Point:
    """A point of the path, at this distance from its end."""
    end = path.end
    for point in reversed(path.points):
        if math.hypot(point[0] - end[0], point[1] - end[1]) >= length:
            return point
    return path.start


def _shortened(path: Path, by: float = 7.0) -> Path:
    """The path without the last pixels, which the arrow head covers."""
    last = path.segments[-1]
    if len(last) == 2:
        (x0, y0), (x1, y1) = last
        length = math.hypot(x1 - x0, y1 - y0)
        share = max(0.0, length - by) / length if length else 0.0
        return Path((*path.segments[:-1], ((x0, y0), (x0 + (x1 - x0) * share, y0 + (y1 - y0) * share))))
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if math.dist(at(last, middle), last[-1]) > by else (low, middle)
    return Path((*path.segments[:-1], split(last, max(0.05, low))[0]))


def _span(part: Part) -> str:
    bold = part.role in BOLD_ROLES
    plain = part.role is Role.TEXT and not bold
    return esc(part.text) if plain else f'<tspan class="{part.role.value}">{esc(part.text)}</tspan>'


def _at(point: Point) -> str:
    return f"{num(point[0])},{num(point[1])}"

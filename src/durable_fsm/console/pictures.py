"""Diagrams for the pages: each chart is laid out once; what is active, taken or counted is added to the finished text."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from html import escape
from threading import Lock

from markupsafe import Markup

from durable_fsm.core.chart import Chart
from durable_fsm.diagram.fonts import width
from durable_fsm.diagram.layout.engine import NoEngine
from durable_fsm.diagram.svg import to_svg

FOLDED_ABOVE = 12
"""A card shows a chart of more states with its compound states folded."""

REMEMBERED = 256

HEADING = 26.0
"""The title of a picture, in pixels: a page says it already, so the picture begins below."""

_STATE = re.compile(r'<g id="[^"]*" class="(fsm-state[^"]*)" data-state="([^"]*)">')
_EDGE = re.compile(r'<g id="[^"]*" class="(fsm-transition[^"]*)"[^>]*? data-key="([^"]*)">')
_BOX = re.compile(r'<rect class="(?:box|frame|hit)"[^>]*? x="([-\d.]+)" y="([-\d.]+)" width="([\d.]+)"')
_VIEW = re.compile(r'width="([\d.]+)" height="([\d.]+)" viewBox="0 0 ([\d.]+) ([\d.]+)"')
_TITLE = re.compile(r'<text class="(?:title|subtitle)"[^>]*>.*?</text>\n?', re.DOTALL)
_BACK = re.compile(r'<rect class="bg"[^>]*/>\n?')


@dataclass(frozen=True)
class Drawn:
    """A picture, and the states and transitions that it shows. It has no colours of its own."""

    svg: str
    states: frozenset[str]
    keys: frozenset[str]


_drawings: dict[tuple[str, str, int | None, str], Drawn] = {}
"""The last drawings by name and digest of the chart: to lay one out takes longer than everything else on a page."""

_one_at_a_time = Lock()


def _draw(chart: Chart, depth: int | None, prefix: str) -> Drawn:
    text = to_svg(chart, theme="vars", css=False, depth=depth, id_prefix=prefix)
    text = _BACK.sub("", _TITLE.sub("", text))
    text = _VIEW.sub(_without_heading, text, count=1)
    states = frozenset(unescape(match[2]) for match in _STATE.finditer(text))
    keys = frozenset(key for match in _EDGE.finditer(text) for key in unescape(match[2]).split(" "))
    return Drawn(text, states, keys)


def picture(chart: Chart | None, *, folded: bool = False, prefix: str = "") -> Drawn | None:
    """Draw a chart; None if there is none, or no layout program is installed."""
    if chart is None:
        return None
    depth = 1 if folded and len(chart.states) - 1 > FOLDED_ABOVE else None
    drawing = (chart.name, chart.digest, depth, prefix)
    with _one_at_a_time:
        if drawing not in _drawings:
            try:
                drawn = _draw(chart, depth, prefix)
            except NoEngine:
                return None
            while len(_drawings) >= REMEMBERED:
                _drawings.pop(next(iter(_drawings)))
            _drawings[drawing] = drawn
        return _drawings[drawing]


def lit(
    drawn: Drawn,
    *,
    states: Mapping[str, str] | None = None,
    transitions: Mapping[str, str] | None = None,
    badges: Mapping[str, tuple[str, int]] | None = None,
) -> Markup:
    """Add classes to states by id and to transitions by key, and a badge (text, heat from 0 to 4) to states."""
    wanted, edges, counts = states or {}, transitions or {}, badges or {}

    def state(match: re.Match[str]) -> str:
        extra = wanted.get(unescape(match[2]))
        return match[0] if not extra else match[0].replace(f'class="{match[1]}"', f'class="{match[1]} {extra}"', 1)

    def edge(match: re.Match[str]) -> str:
        extra = " ".join(dict.fromkeys(edges[key] for key in unescape(match[2]).split(" ") if key in edges))
        return match[0] if not extra else match[0].replace(f'class="{match[1]}"', f'class="{match[1]} {extra}"', 1)

    text = _EDGE.sub(edge, _STATE.sub(state, drawn.svg))
    return Markup(_badged(text, counts))


def lit_machine(
    drawn: Drawn, active: Collection[str], taken: Collection[str] = (), possible: Collection[str] = ()
) -> Markup:
    """Show where a machine is."""
    edges = dict.fromkeys(possible, "is-possible")
    edges |= {key: f"is-taken{' is-possible' if key in edges else ''}" for key in taken}
    return lit(drawn, states=dict.fromkeys(active, "is-active"), transitions=edges)


def heat_of(value: float, hottest: float) -> int:
    """How dark a number is shown, from 1 to 4; 0 for none."""
    if value <= 0 or hottest <= 0:
        return 0
    return max(1, math.ceil(4 * math.log1p(value) / math.log1p(hottest)))


def _badged(text: str, badges: Mapping[str, tuple[str, int]]) -> str:
    """Put each badge on the upper right corner of its state: after all else, so that nothing covers it."""
    out: list[str] = []
    for match in _STATE.finditer(text) if badges else ():
        badge = badges.get(unescape(match[2]))
        box = _BOX.search(text, match.end())
        if badge is None or box is None:
            continue
        label, heat = badge
        across = width(label, 14, bold=True) + 15
        left, top = float(box[1]) + float(box[3]) - min(16.0, float(box[3]) / 2), float(box[2]) - 13
        out.append(
            f'<g class="badge heat-{heat}" data-badge="{match[2]}">'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{across:.1f}" height="21" rx="10.5"/>'
            f'<text x="{left + across / 2:.1f}" y="{top + 15.4:.1f}" text-anchor="middle">{escape(label)}</text></g>'
        )
    if not out:
        return text
    head, end, tail = text.rpartition("</g>\n</svg>")
    return head + "\n".join(out) + "\n" + end + tail


def _without_heading(match: re.Match[str]) -> str:
    across, down = float(match[3]), float(match[4])
    return f'width="{across:g}" height="{down - HEADING:g}" viewBox="0 {HEADING:g} {across:g} {down - HEADING:g}"'


def unescape(text: str) -> str:
    return Markup(text).unescape()

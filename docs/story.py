"""The animated story of `kill -9` on the home page: `.venv/bin/python -m docs.story` writes docs/pictures/kill-9*.svg.

The chart in it is that of docs/shop.py, drawn by durable_fsm. Six scenes follow each other for ever; a reader who prefers
reduced motion sees the last one, with all captions. There is a wide picture and one for narrow screens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from docs.shop import Order
from durable_fsm.diagram import to_svg
from durable_fsm.diagram.fonts import FAMILY
from durable_fsm.diagram.theme import DARK, LIGHT
from durable_fsm.frontends import chart_from

PICTURES = Path(__file__).parent / "pictures"


@dataclass(frozen=True)
class Shape:
    """How wide a picture is, and where its chart and its words begin; the words may be below the chart."""

    width: float
    chart: float
    words: float
    below: bool = False


SHAPES = {"kill-9.svg": Shape(780, 8, 340), "kill-9-narrow.svg": Shape(410, 40, 10, below=True)}

CAPTIONS = (
    "POST /Order/o-17/checkout: the order is charging.",
    "The service asks the bank to charge, under a key.",
    "kill -9: the service is gone before it can report.",
    "Restate still has the order, and what is not done.",
    "A new process asks again, under the same key.",
    "The order is paid. The bank has charged once.",
)
SCENES = range(1, len(CAPTIONS) + 1)

ACTIVE = {"cart": (0, 1.3), "charging": (1.3, 6), "paid": (6, 7)}
"""From when until when a state is active, in scenes; 1.3 is soon after the first has begun."""

ACTORS: dict[str, Sequence[tuple[str, str, Iterable[int]]]] = {
    "Your service": (
        ("good", "processes the event", [1]),
        ("good", "runs charge()", [2]),
        ("bad", "killed", [3]),
        ("idle", "starts again", [4]),
        ("good", "runs charge() again", [5]),
        ("good", "ready for the next event", [6]),
    ),
    "Restate": (
        ("good", "o-17 is charging", [1, 2]),
        ("good", "o-17 is charging; no answer yet", [3, 4, 5]),
        ("good", "o-17 is paid", [6]),
    ),
    "The bank": (
        ("idle", "no charge", [1]),
        ("good", "1 charge, key 7f3a", [2, 3, 4]),
        ("good", "key 7f3a: charged already", [5]),
        ("good", "1 charge, key 7f3a", [6]),
    ),
}
"""The acts of each: how it looks, in words, and in which scenes."""

SECONDS, FADE = 3.5, 0.3
ROW, GAP, PAD, LINE = 46, 10, 16, 30
INKS = {
    "ground": "bg",
    "ink": "ink",
    "muted": "muted",
    "line": "rule",
    "box": "comp1",
    "good": "done",
    "bad": "error",
    "idle": "muted",
    "fill": "active",
    "edge": "active-border",
    "state": "state",
    "stroke": "stroke",
}
"""Our names of colours, and theirs in the theme of diagrams."""


def percent(scene: float) -> float:
    """The moment at which a scene begins, in percent of the whole."""
    return round((scene - 1) / len(SCENES) * 100, 2)


def shown(name: str, spans: Iterable[tuple[float, float]], on: str, off: str) -> str:
    """Keyframes that are *on* in these spans of scenes, and *off* otherwise."""
    fade = FADE / SECONDS / len(SCENES) * 100
    steps: list[tuple[float, str]] = []
    for start, end in spans:
        first, last = max(percent(start), 0), min(percent(end), 100)
        steps += [(first, off), (first + fade, on)] if first > 0 else [(0, on)]
        steps += [(last, on), (last + fade, off)] if last < 100 else [(100, on)]
    if steps[0][1] == off:
        steps.insert(0, (0, off))
    if steps[-1][1] == off:
        steps.append((100, off))
    return f"@keyframes {name}{{{''.join(f'{at:g}%{{{style}}}' for at, style in steps)}}}"


def runs(scenes: Iterable[int]) -> list[tuple[float, float]]:
    """Scenes that follow each other, as one span."""
    spans: list[tuple[float, float]] = []
    for scene in scenes:
        if spans and spans[-1][1] == scene:
            spans[-1] = (spans[-1][0], scene + 1)
        else:
            spans.append((scene, scene + 1))
    return spans


def colours(theme: dict[str, str]) -> str:
    return ";".join(f"--{ours}:{theme[theirs]}" for ours, theirs in INKS.items())


def style() -> str:
    """Everything that moves, and everything that has a colour. Without its animation an element looks as at the end."""
    length = f"{SECONDS * len(SCENES):g}s infinite"
    rules = [
        f":root{{{colours(LIGHT)}}}",
        f"@media (prefers-color-scheme:dark){{:root{{{colours(DARK)}}}}}",
        f".story{{font:14px {FAMILY}}}.story>text,.now{{fill:var(--ink)}}.name{{font-weight:600}}",
        ".ground{fill:var(--ground)}.card{fill:var(--box);stroke:var(--line)}.number{fill:var(--muted)}",
        *(f".{look}{{fill:var(--{look})}}" for look in ("good", "bad", "idle")),
        ".bad+text{fill:var(--bad);font-weight:600}.past{opacity:0}",
        ".fsm #story-state-paid .box{fill:var(--fill);stroke:var(--edge);stroke-width:2.4}",
    ]
    for state, span in ACTIVE.items():
        on, off = "fill:var(--fill);stroke:var(--edge);stroke-width:2.4", "fill:var(--state);stroke:var(--stroke)"
        rules += [shown(state, [span], on, off), f".fsm #story-state-{state} .box{{animation:{state} {length}}}"]
    for scene in SCENES:
        name = f"caption{scene}"
        rules += [
            shown(name, [(scene, scene + 1)], "opacity:1", "opacity:.45"),
            f".{name}{{animation:{name} {length}}}",
        ]
    for scenes in sorted({tuple(scenes) for states in ACTORS.values() for _, _, scenes in states}):
        name = f"in{''.join(map(str, scenes))}"
        rules += [shown(name, runs(scenes), "opacity:1", "opacity:0"), f".{name}{{animation:{name} {length}}}"]
    return "\n".join([*rules, "@media (prefers-reduced-motion:reduce){.story *{animation:none!important}}"])


def actors(left: float, top: float, width: float) -> Iterable[str]:
    """One row for each of the three processes, with a lamp and what it does."""
    for place, (name, states) in enumerate(ACTORS.items()):
        y = top + place * (ROW + GAP)
        middle = y + ROW / 2 + 5
        yield f'<rect class="card" x="{left:g}" y="{y:g}" width="{width:g}" height="{ROW}" rx="9"/>'
        yield f'<text class="name" x="{left + PAD:g}" y="{middle:g}">{name}</text>'
        for look, words, scenes in states:
            past = "" if SCENES[-1] in scenes else " past"
            yield f'<g class="now in{"".join(map(str, scenes))}{past}">'
            yield f'<circle class="{look}" cx="{left + 134:g}" cy="{y + ROW / 2:g}" r="5"/>'
            yield f'<text x="{left + 148:g}" y="{middle:g}">{escape(words)}</text></g>'


def captions(left: float, top: float) -> Iterable[str]:
    for scene, words in zip(SCENES, CAPTIONS, strict=True):
        y = top + scene * LINE
        yield f'<g class="now caption{scene}"><text class="number" x="{left + PAD:g}" y="{y:g}">{scene}</text>'
        yield f'<text x="{left + PAD + 22:g}" y="{y:g}">{escape(words)}</text></g>'


def picture(shape: Shape) -> str:
    """The story as SVG."""
    chart = to_svg(chart_from(Order), theme="auto", id_prefix="story-")
    [down] = re.findall(r'viewBox="0 0 [\d.]+ ([\d.]+)"', chart)
    chart = chart.replace("<svg ", f'<svg x="{shape.chart:g}" ', 1).replace('role="img" ', "", 1)
    top = float(down) if shape.below else 22.0
    listed = top + len(ACTORS) * (ROW + GAP)
    height = max(float(down), listed + len(CAPTIONS) * LINE + PAD)
    labelled = 'role="img" aria-labelledby="story-t story-d"'
    size = f'viewBox="0 0 {shape.width:g} {height:g}" width="{shape.width:g}" height="{height:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="story" {labelled} {size}>',
            '<title id="story-t">An order survives kill -9</title>',
            f'<desc id="story-d">{escape(" ".join(CAPTIONS))}</desc>',
            f"<style>{style()}</style>",
            f'<rect class="ground" width="{shape.width:g}" height="{height:g}" rx="10"/>',
            chart.strip(),
            *actors(shape.words, top, shape.width - shape.words - PAD),
            *captions(shape.words, listed),
            "</svg>",
            "",
        ]
    )


if __name__ == "__main__":
    for name, shape in SHAPES.items():
        (PICTURES / name).write_text(picture(shape), encoding="utf-8")

"""Draw the marks and the legend of an overlay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from durable_fsm.diagram.fonts import width
from durable_fsm.diagram.layout.geometry import Rect
from durable_fsm.diagram.layout.sizes import REGION, SMALL
from durable_fsm.diagram.overlay import SHADES, Mark, Overlay, Sample
from durable_fsm.diagram.theme import Theme, painted, scoped
from durable_fsm.diagram.words import cut

BADGE, GAP, ROW, SWATCH = 15.0, 3.0, 22.0, 16.0

_COLOURS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "pop1": (("#eff6ff", "#16243f"), ("#1d4ed8", "#93c5fd")),
    "pop2": (("#dbeafe", "#1c346b"), ("#1d4ed8", "#93c5fd")),
    "pop3": (("#b4d2fc", "#25479b"), ("#1d4ed8", "#93c5fd")),
    "green": (("#ecfaf3", "#0f2a22"), ("#04724d", "#6ee7b7")),
    "amber": (("#fff7ed", "#2e1f10"), ("#a14a06", "#fdba74")),
    "red": (("#fef3f2", "#331616"), ("#b42318", "#fda4a0")),
    "violet": (("#f5f3ff", "#241a3f"), ("#6d28d9", "#c4b0ff")),
    "blue": (("#eff6ff", "#16243f"), ("#1d4ed8", "#93c5fd")),
    "grey": (("#f1f4f9", "#1a2333"), ("#52627a", "#9fb0c7")),
}
"""By tone: the ground of a state in the light and in the dark theme, and the colour of its border and its badge."""

INK = ("#0b1a38", "#f1f5fd")
"""The texts on these grounds."""

ON_BADGE = ("#ffffff", "#0b1120")

LIGHT = {f"overlay-{tone}-{part}": pair[0] for tone, both in _COLOURS.items() for part, pair in zip(("ground", "line"), both, strict=True)} | {"overlay-ink": INK[0], "overlay-badge": ON_BADGE[0]}  # fmt: skip
DARK = {f"overlay-{tone}-{part}": pair[1] for tone, both in _COLOURS.items() for part, pair in zip(("ground", "line"), both, strict=True)} | {"overlay-ink": INK[1], "overlay-badge": ON_BADGE[1]}  # fmt: skip

_GROUND = (("fill", "ground"), ("stroke", "line"))

_RULES = [
    (".is-marked>text,.is-marked>text tspan,.is-marked>a text,.is-marked>a tspan", "fill", "overlay-ink"),
    *(
        rule
        for tone in _COLOURS
        for rule in (
            (f".o-{tone}>.box,.o-{tone}>a>.box", "fill", f"overlay-{tone}-ground"),
            (f".o-{tone}>.box,.o-{tone}>.ring,.o-{tone}>.frame,.o-{tone}>a>.box", "stroke", f"overlay-{tone}-line"),
            (f".o-{tone} .edge", "stroke", f"overlay-{tone}-line"),
            (f".o-{tone} .pill", "stroke", f"overlay-{tone}-line"),
            (f".o-{tone} .head", "fill", f"overlay-{tone}-line"),
            (f".b-{tone}", "fill", f"overlay-{tone}-line"),
        )
    ),
    *((f".g-{tone}", paint, f"overlay-{tone}-{part}") for tone in SHADES for paint, part in _GROUND),
    (".mark,.is-marked>.mark,.is-marked>a>.mark", "fill", "overlay-badge"),
    (".mark-ink", "fill", "overlay-ink"),
]

_SHAPES = (
    ".is-marked>.box,.is-marked>.frame,.is-marked>a>.box{stroke-width:1.8}",
    ".is-never .edge,.is-never>.box,.is-never>a>.box{stroke-dasharray:6 4}",
    ".mark,.mark-ink{font-size:10px;font-weight:600}",
    ".legend{font-size:11px;font-weight:600}",
)


def overlay_css(theme: Theme) -> str:
    """The style sheet of marks, beside that of the picture."""
    rules = [scoped(rule) for rule in _SHAPES]
    if theme == "vars":
        rules += painted(_RULES, {name: f"var(--fsm-{name},{colour})" for name, colour in LIGHT.items()})
    else:
        rules += painted(_RULES, DARK if theme == "dark" else LIGHT)
    if theme == "auto":
        rules += ["@media (prefers-color-scheme:dark){", *painted(_RULES, DARK), "}"]
    return "\n".join(rules)


def classes(marks: Sequence[Mark]) -> list[str]:
    """The classes of a thing with marks: the first one decides its tone."""
    if not marks:
        return []
    never = ["is-never"] if marks[0].text == "never" else []
    return ["is-marked", f"o-{marks[0].tone}", *never]


def badges(marks: Iterable[Mark], right: float, top: float) -> list[str]:
    """The badges of a thing, side by side; the last one ends at *right*."""
    out: list[str] = []
    shown = [mark for mark in marks if mark.shown.strip()]
    for mark in reversed(shown):
        across = badge_width(mark.shown)
        out = [*badge(mark.tone, mark.shown, right - across, top), *out]
        right -= across + GAP
    return out


def badge_width(words: str) -> float:
    return width(words, REGION, bold=True) + 12


def badge(tone: str, words: str, left: float, top: float, *, as_ground: bool = False) -> list[str]:
    """A rounded label; *as_ground*, it looks like a state of this tone."""
    across = badge_width(words)
    ground, ink = (f"b-{tone}", "mark") if not as_ground else (f"g-{tone}", "mark-ink")
    return [
        f'<rect class="{ground}" x="{_num(left)}" y="{_num(top)}" width="{_num(across)}" height="{_num(BADGE)}" rx="7.5"/>',
        f'<text class="{ink}" x="{_num(left + across / 2)}" y="{_num(top + 11)}" text-anchor="middle">{escape(words)}</text>',
    ]


@dataclass(frozen=True)
class Legend:
    """A legend, laid out for the width of its picture."""

    overlay: Overlay
    rows: tuple[tuple[Sample, ...], ...]

    @classmethod
    def of(cls, overlay: Overlay, across: float) -> Legend:
        """Break the samples into rows."""
        rows: list[list[Sample]] = [[]]
        used = 0.0
        for sample in overlay.legend:
            needed = _sample_width(sample)
            if rows[-1] and used + needed > across:
                rows.append([])
                used = 0.0
            rows[-1].append(sample)
            used += needed
        return cls(overlay, tuple(tuple(row) for row in rows if row))

    @property
    def width(self) -> float:
        """The width that it needs at least."""
        lines = [sum(map(_sample_width, row)) for row in self.rows]
        return max([width(self.overlay.title, SMALL, bold=True) + 8, *lines])

    @property
    def height(self) -> float:
        return 26.0 + ROW * len(self.rows)

    def drawn(self, left: float, top: float) -> list[str]:
        """The legend, under a picture."""
        out = ['<g class="fsm-legend">']
        out.append(f'<text class="legend" x="{_num(left)}" y="{_num(top + 14)}">{escape(self.overlay.title)}</text>')
        for number, row in enumerate(self.rows):
            x, y = left, top + 24 + number * ROW
            for sample in row:
                across = badge_width(sample.shown)
                out += badge(sample.tone, sample.shown, x, y, as_ground=sample.tone in SHADES)
                out.append(
                    f'<text class="subtitle" x="{_num(x + across + 6)}" y="{_num(y + 11.5)}">{escape(cut(sample.means))}</text>'
                )
                x += _sample_width(sample)
        return [*out, "</g>"]


def _sample_width(sample: Sample) -> float:
    return badge_width(sample.shown) + 6 + width(cut(sample.means), SMALL) + SWATCH


def right_corner(box: Rect) -> tuple[float, float]:
    """Where the badges of a box end, and where their upper border is: over its corner, and not over its text."""
    return box.right + 8, box.top - 12


def _num(value: float) -> str:
    shown = f"{value:.1f}"
    return "0" if shown in ("-0.0", "0.0") else shown.removesuffix(".0")

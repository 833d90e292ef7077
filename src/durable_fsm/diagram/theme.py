"""Colours and strokes. Every text has a contrast of at least 4.5 to its background, every line and border of 3.1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from durable_fsm.diagram.fonts import FAMILY

Theme: TypeAlias = Literal["light", "dark", "auto", "vars"]

_PALETTE = {
    "bg": ("#ffffff", "#0b1120"),
    "state": ("#ffffff", "#1a2538"),
    "ink": ("#0f172a", "#e8edf5"),
    "muted": ("#52627a", "#9fb0c7"),
    "stroke": ("#475569", "#8ea0b8"),
    "edge": ("#64748b", "#8496b0"),
    "comp1": ("#f5f7fb", "#111a2b"),
    "comp2": ("#e9eef6", "#162135"),
    "comp3": ("#dde5f0", "#1c2940"),
    "band1": ("#e9eef6", "#162135"),
    "band2": ("#dde5f0", "#1c2940"),
    "band3": ("#e9eef6", "#162135"),
    "border": ("#718097", "#667a9c"),
    "rule": ("#d8e0ea", "#33435c"),
    "pill": ("#ffffff", "#0f1828"),
    "pill-border": ("#e0e6ee", "#2a3a54"),
    "guard": ("#6d28d9", "#c4b0ff"),
    "after": ("#a14a06", "#fdba74"),
    "done": ("#04724d", "#6ee7b7"),
    "error": ("#b42318", "#fda4a0"),
    "accent": ("#2563eb", "#60a5fa"),
    "active": ("#dbeafe", "#1e3a8a"),
    "active-border": ("#1d4ed8", "#93c5fd"),
    "active-ink": ("#0b2a6b", "#eff6ff"),
    "heat-ink": ("#ffffff", "#0b1120"),
    "shadow": ("rgba(15,23,42,.06)", "rgba(0,0,0,.25)"),
}
"""Each colour of the light and of the dark theme."""

LIGHT = {name: light for name, (light, _) in _PALETTE.items()}
DARK = {name: dark for name, (_, dark) in _PALETTE.items()}

_SHAPES = f"""
text{{font-family:{FAMILY};font-size:11px}}
.name{{font-size:13px;font-weight:600}}
.title{{font-size:15px;font-weight:600}}
.region-name{{font-size:10px;font-weight:600;letter-spacing:.06em}}
.tag-name,.count{{font-size:10px}}
.event,.after,.done,.error,.count{{font-weight:600}}
.box,.edge,.icon,.ring{{stroke-width:1.4}}
.frame,.divider{{stroke-width:1.2}}
.rule,.pill,.tag{{stroke-width:1}}
.edge,.icon,.ring,.rule,.divider,.frame{{fill:none}}
.icon{{stroke-linecap:round;stroke-linejoin:round}}
.icon-full{{fill-rule:evenodd}}
.divider{{stroke-dasharray:5 4}}
a{{text-decoration:none}}
"""

_KINDS = ("after", "done", "error")
_COLOURS = (
    (".bg", "fill", "bg"),
    ("text", "fill", "ink"),
    (".keyword,.action,.invoke,.exclusive,.folded,.region-name,.subtitle,.tag-name", "fill", "muted"),
    (".guard", "fill", "guard"),
    *((f".{kind}", "fill", kind) for kind in _KINDS),
    (".box", "fill", "state"),
    (".box,.ring", "stroke", "stroke"),
    (".shadow", "fill", "shadow"),
    (".rule", "stroke", "rule"),
    *((f".tint{depth}", "fill", f"comp{depth}") for depth in (1, 2, 3)),
    *((f".band{depth}", "fill", f"band{depth}") for depth in (1, 2, 3)),
    (".frame,.divider", "stroke", "border"),
    (".edge", "stroke", "edge"),
    (".head,.bar", "fill", "edge"),
    (".pill", "fill", "pill"),
    (".pill,.tag", "stroke", "pill-border"),
    (".tag", "fill", "comp1"),
    (".dot", "fill", "ink"),
    (".icon", "stroke", "muted"),
    (".icon-full", "fill", "muted"),
    *((f".icon-{kind}", "stroke", kind) for kind in _KINDS),
    *(
        (f".t-{kind} {part}", paint, kind)
        for kind in _KINDS
        for part, paint in ((".edge", "stroke"), (".head", "fill"))
    ),
    (".is-active>.box", "fill", "active"),
    (".is-active>.box,.is-active>.frame,.is-active>.ring", "stroke", "active-border"),
    (".is-active>.name", "fill", "active-ink"),
    (".is-taken .edge,.is-taken .pill", "stroke", "accent"),
    (".is-taken .head", "fill", "accent"),
    (".is-possible .pill", "stroke", "accent"),
    (".badge", "fill", "accent"),
    (".count", "fill", "heat-ink"),
)

_LIT = """
.is-active>.box{stroke-width:2.4}
.is-active>.frame{stroke-width:2}
.is-taken .edge{stroke-width:2.4}
.is-taken .pill{stroke-width:1.6}
.is-possible .pill{stroke-width:1.4;stroke-dasharray:4 3}
"""


def css(theme: Theme) -> str:
    """The style sheet of a picture; every rule applies only under `.fsm`.

    `auto` follows the reader's setting; `vars` takes the colours from `--fsm-*` properties of the page, with those of
    the light theme as defaults.
    """
    colours = DARK if theme == "dark" else LIGHT
    rules = [scoped(rule) for rule in _SHAPES.strip().splitlines()]
    if theme == "vars":
        rules += painted(_COLOURS, {name: f"var(--fsm-{name},{colour})" for name, colour in LIGHT.items()})
    else:
        rules += painted(_COLOURS, colours)
    rules += [scoped(rule) for rule in _LIT.strip().splitlines()]
    if theme == "auto":
        rules += ["@media (prefers-color-scheme:dark){", *painted(_COLOURS, DARK), "}"]
    return "\n".join(rules)


def painted(rules: Iterable[tuple[str, str, str]], colours: Mapping[str, str]) -> list[str]:
    """Rules of selectors, an attribute and the name of a colour, with the colours of a theme."""
    return [scoped(f"{selectors}{{{attribute}:{colours[token]}}}") for selectors, attribute, token in rules]


def scoped(rule: str) -> str:
    """A rule that applies only under `.fsm`."""
    selectors, brace, body = rule.partition("{")
    return ",".join(f".fsm {selector}" for selector in selectors.split(",")) + brace + body

"""Colours and strokes. Every text has a contrast of at least 4.5 to its background, every line and border of 3.1."""

from __future__ import annotations

from typing import Literal, TypeAlias

from durable_fsm.diagram.fonts import FAMILY

Theme: TypeAlias = Literal["light", "dark", "auto", "vars"]

LIGHT = {
    "bg": "#ffffff",
    "state": "#ffffff",
    "ink": "#0f172a",
    "muted": "#52627a",
    "stroke": "#475569",
    "edge": "#64748b",
    "comp1": "#f5f7fb",
    "comp2": "#e9eef6",
    "comp3": "#dde5f0",
    "band1": "#e9eef6",
    "band2": "#dde5f0",
    "band3": "#e9eef6",
    "border": "#718097",
    "rule": "#d8e0ea",
    "pill": "#ffffff",
    "pill-border": "#e0e6ee",
    "guard": "#6d28d9",
    "after": "#a14a06",
    "done": "#04724d",
    "error": "#b42318",
    "accent": "#2563eb",
    "active": "#dbeafe",
    "active-border": "#1d4ed8",
    "active-ink": "#0b2a6b",
    "heat-ink": "#ffffff",
    "shadow": "rgba(15,23,42,.06)",
}
DARK = {
    "bg": "#0b1120",
    "state": "#1a2538",
    "ink": "#e8edf5",
    "muted": "#9fb0c7",
    "stroke": "#8ea0b8",
    "edge": "#8496b0",
    "comp1": "#111a2b",
    "comp2": "#162135",
    "comp3": "#1c2940",
    "band1": "#162135",
    "band2": "#1c2940",
    "band3": "#162135",
    "border": "#667a9c",
    "rule": "#33435c",
    "pill": "#0f1828",
    "pill-border": "#2a3a54",
    "guard": "#c4b0ff",
    "after": "#fdba74",
    "done": "#6ee7b7",
    "error": "#fda4a0",
    "accent": "#60a5fa",
    "active": "#1e3a8a",
    "active-border": "#93c5fd",
    "active-ink": "#eff6ff",
    "heat-ink": "#0b1120",
    "shadow": "rgba(0,0,0,.25)",
}

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

_COLOURS = (
    (".bg", "fill", "bg"),
    ("text", "fill", "ink"),
    (".keyword,.action,.invoke,.exclusive,.folded,.region-name,.subtitle,.tag-name", "fill", "muted"),
    (".guard", "fill", "guard"),
    (".after", "fill", "after"),
    (".done", "fill", "done"),
    (".error", "fill", "error"),
    (".box", "fill", "state"),
    (".box,.ring", "stroke", "stroke"),
    (".shadow", "fill", "shadow"),
    (".rule", "stroke", "rule"),
    (".tint1", "fill", "comp1"),
    (".tint2", "fill", "comp2"),
    (".tint3", "fill", "comp3"),
    (".band1", "fill", "band1"),
    (".band2", "fill", "band2"),
    (".band3", "fill", "band3"),
    (".frame,.divider", "stroke", "border"),
    (".edge", "stroke", "edge"),
    (".head,.bar", "fill", "edge"),
    (".pill", "fill", "pill"),
    (".pill,.tag", "stroke", "pill-border"),
    (".tag", "fill", "comp1"),
    (".dot", "fill", "ink"),
    (".icon", "stroke", "muted"),
    (".icon-full", "fill", "muted"),
    (".icon-after", "stroke", "after"),
    (".icon-done", "stroke", "done"),
    (".icon-error", "stroke", "error"),
    (".t-after .edge", "stroke", "after"),
    (".t-after .head", "fill", "after"),
    (".t-done .edge", "stroke", "done"),
    (".t-done .head", "fill", "done"),
    (".t-error .edge", "stroke", "error"),
    (".t-error .head", "fill", "error"),
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
    rules = [_scoped(rule) for rule in _SHAPES.strip().splitlines()]
    if theme == "vars":
        rules += _painted({name: f"var(--fsm-{name},{colour})" for name, colour in LIGHT.items()})
    else:
        rules += _painted(colours)
    rules += [_scoped(rule) for rule in _LIT.strip().splitlines()]
    if theme == "auto":
        rules += ["@media (prefers-color-scheme:dark){", *_painted(DARK), "}"]
    return "\n".join(rules)


def _painted(colours: dict[str, str]) -> list[str]:
    return [_scoped(f"{selectors}{{{attribute}:{colours[token]}}}") for selectors, attribute, token in _COLOURS]


def _scoped(rule: str) -> str:
    selectors, brace, body = rule.partition("{")
    return ",".join(f".fsm {selector}" for selector in selectors.split(",")) + brace + body

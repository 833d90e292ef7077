"""Themes: fixed colours, colours of the reader's setting or of the page; always with enough contrast."""

from __future__ import annotations

import re

import pytest

from durable_fsm.diagram.theme import DARK, LIGHT, css

GROUNDS = ("bg", "comp1", "comp2", "comp3", "band1", "band2", "band3")
LABELS = ("ink", "muted", "guard", "after", "done", "error")

TEXTS = [
    *((text, ground) for text in LABELS for ground in (*GROUNDS, "state", "pill")),
    ("active-ink", "active"),
    ("muted", "active"),
    ("ink", "active"),
    ("heat-ink", "accent"),
    ("muted", "comp1"),
]
LINES = [
    *((line, ground) for line in ("edge", "after", "done", "error", "accent") for ground in GROUNDS),
    *(("stroke", ground) for ground in (*GROUNDS, "state")),
    *(("border", ground) for ground in GROUNDS),
    ("active-border", "active"),
    ("active-border", "bg"),
]


def luminance(colour: str) -> float:
    """Relative luminance, https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def test_contrast_is_computed_as_the_standard_defines_it() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXTS, 4.5), (LINES, 3.1)], ids=["text", "lines"])
def test_every_text_and_every_line_has_enough_contrast(
    colours: dict[str, str], pairs: list[tuple[str, str]], least: float
) -> None:
    seen = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}

    assert {pair: value for pair, value in seen.items() if value < least} == {}


def test_both_themes_have_the_same_colour_names() -> None:
    assert LIGHT.keys() == DARK.keys()


@pytest.mark.parametrize(("theme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_a_fixed_theme_has_its_own_colours_and_no_others(theme: str, colours: dict[str, str]) -> None:
    sheet = css(theme)  # type: ignore[arg-type]

    assert set(re.findall(r"#[0-9a-f]{6}", sheet)) <= set(colours.values())
    assert "var(" not in sheet
    assert "@media" not in sheet


def test_the_theme_auto_is_light_and_dark_for_readers_who_prefer_it() -> None:
    bright, _, dim = css("auto").partition("@media (prefers-color-scheme:dark)")

    assert LIGHT["bg"] in bright
    assert DARK["bg"] in dim
    assert LIGHT["bg"] not in dim.replace(DARK["active-ink"], "")


def test_the_theme_vars_takes_each_colour_from_the_page_and_is_light_otherwise() -> None:
    sheet = css("vars")

    assert f"var(--fsm-ink,{LIGHT['ink']})" in sheet
    assert set(re.findall(r"var\(--fsm-([a-z0-9-]+),", sheet)) == set(LIGHT)


@pytest.mark.parametrize("theme", ["light", "dark", "auto", "vars"])
def test_every_rule_applies_only_to_our_own_pictures(theme: str) -> None:
    sheet = css(theme).replace("@media (prefers-color-scheme:dark){", "")  # type: ignore[arg-type]
    selectors = [selector for rule in re.findall(r"([^{}]+)\{", sheet) for selector in rule.split(",")]

    assert all(selector.strip().startswith(".fsm ") for selector in selectors)

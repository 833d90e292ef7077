"""Our own pages: their pictures in both schemes and on a narrow screen, and their claims about other libraries.

The pictures of the pages are written to build/screenshots, to be looked at.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from durable_fsm.docs import show
from tests.diagram.node import MERMAID
from tests.docs.chromium import DRAWN, Chromium
from tests.docs.test_mkdocs import SWITCH
from tests.scaling import SCALE

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
EVERYTHING = SCALE >= 10
"""Whether to look at all pages, and at the whole of each."""

PAGES = ("diagrams-in-docs", "diagrams-compared")

LOOK = """(() => {
  const article = document.querySelector("article").getBoundingClientRect();
  const inside = (inner, outer) => inner.left >= outer.left - .5 && inner.right <= outer.right + .5
    && inner.top >= outer.top - .5 && inner.bottom <= outer.bottom + .5;
  const box = it => it.getBoundingClientRect();
  const pictures = [...document.querySelectorAll("svg.fsm")];
  const groups = pictures.flatMap(it => [...it.querySelectorAll(".fsm-state, .fsm-transition")])
    .map(it => [it.querySelector("rect.box, rect.frame, rect.pill"), [...it.querySelectorAll("text")]])
    .filter(([frame, texts]) => frame && texts.length);
  return {
    pictures: pictures.length,
    texts: groups.flatMap(([, texts]) => texts).length,
    overflowing: groups.flatMap(([frame, texts]) =>
      texts.filter(it => !inside(box(it), box(frame))).map(it => it.textContent)),
    wide: [...pictures, ...document.querySelectorAll("article img")].filter(it => !inside(
      {...box(it).toJSON(), top: article.top, bottom: article.bottom}, article)).length,
    scrolls: document.documentElement.scrollWidth > innerWidth,
    ratio: pictures.map(it => box(it).height / box(it).width - it.viewBox.baseVal.height / it.viewBox.baseVal.width),
    ground: getComputedStyle(pictures[0].querySelector(".bg")).fill,
    ink: getComputedStyle(pictures[0].querySelector(".title")).fill,
  };
})()"""


@pytest.fixture(scope="module")
def compared() -> ModuleType:
    """The program that makes the pictures of docs/diagrams-compared.md."""
    spec = importlib.util.spec_from_file_location("compared", ROOT / "docs" / "compared.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ── what a reader sees ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.browser
@pytest.mark.parametrize("page", PAGES)
def test_pictures_fit_the_page_and_their_texts_fit_their_boxes(site: Path, chromium: Chromium, page: str) -> None:
    seen: dict[str, dict[str, Any]] = {}
    with chromium.shown(site / f"{page}.html", "", (1400, 1000)) as tab:
        for look in ("light", "dark", "narrow"):
            if look == "dark":
                tab.evaluate(SWITCH)
            if look == "narrow":
                tab.set_viewport_size({"width": 500, "height": 1000})
            tab.evaluate(DRAWN)
            tab.screenshot(path=SCREENSHOTS / f"{page}.{look}.png", full_page=EVERYTHING)
            seen[look] = tab.evaluate(LOOK)

    assert {name: faults(look) for name, look in seen.items()} == {"light": [], "dark": [], "narrow": []}
    assert all(look["texts"] > 15 for look in seen.values())
    assert seen["light"]["ground"] != seen["dark"]["ground"]
    assert seen["light"]["ink"] != seen["dark"]["ink"]


DAMAGES = {
    "a long name": ('query(".fsm .name").textContent = "W".repeat(80)', f"'{'W' * 80}' leaves its box"),
    "a wide picture": (
        'query("svg.fsm").style.maxWidth = "none"; query("svg.fsm").style.width = "3000px"',
        "1 pictures are wider than the text",
    ),
    "a flat picture": ('query("svg.fsm").style.height = "50px"', "a picture is stretched"),
}


@pytest.mark.browser
@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checker_finds_faults_in_a_damaged_page(site: Path, chromium: Chromium, damage: str) -> None:
    done, complaint = DAMAGES[damage]
    query = "const query = it => document.querySelector(it);"

    seen = chromium.ask(site / "diagrams-in-docs.html", LOOK, first=query + done)

    assert complaint in faults(seen)


def faults(look: dict[str, Any]) -> list[str]:
    """The faults of a page, in words."""
    found = [f"{text!r} leaves its box" for text in look["overflowing"]]
    found += [f"{look['wide']} pictures are wider than the text"] if look["wide"] else []
    found += ["the page scrolls to the side"] if look["scrolls"] else []
    found += ["a picture is stretched"] if any(abs(by) > 0.02 for by in look["ratio"]) else []
    return found + (["there is no picture"] if look["pictures"] == 0 else [])


def test_the_page_shows_the_source_of_its_own_picture() -> None:
    page = (ROOT / "docs" / "diagrams-in-docs.md").read_text("utf-8")

    drawn, shown = re.findall(r"^```fsm\n(.*?)\n```$", page, re.DOTALL | re.MULTILINE)

    assert drawn == shown


# ── what is said of others ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_versions_that_are_compared_are_those_installed() -> None:
    page = (ROOT / "docs" / "diagrams-compared.md").read_text("utf-8")

    headings = re.findall(r"^## (\S+) ([\d.]+)$", page, re.MULTILINE)

    assert dict(headings) == {
        "python-statemachine": metadata.version("python-statemachine"),
        "transitions": metadata.version("transitions"),
        "Mermaid": MERMAID[1],
    }


def test_our_picture_shows_everything_in_the_chart(compared: ModuleType) -> None:
    svg = show(compared.Drone).svg

    assert all(said in svg for said in ("after 20 s", "plan_route", "spin_rotors", "[rotors_ok]", ">H<", ">FLIGHT<"))


def test_python_statemachine_shows_history_guards_and_entries_but_neither_timer_nor_activity(
    compared: ModuleType,
) -> None:
    dot = compared.of_python_statemachine()
    radio = dot[dot.index("subgraph cluster_radio") : dot.index("mission_anchor_in [")]

    assert all(said in dot for said in ("label=H,", "[rotors_ok]", "entry / spin_rotors", "Done invoke returning"))
    assert "20" not in re.sub(r"\d{6,}", "", dot)
    assert "plan_route" not in dot
    assert "lost -> returning" in radio


def test_transitions_shows_conditions_callbacks_and_the_timeout_but_no_end(compared: ModuleType) -> None:
    dot = compared.of_transitions()
    look = dict(re.findall(r'^\t(delivered|paused) \[label="\w+\\l" (.*)\]$', dot, re.MULTILINE))

    assert all(said in dot for said in ("[rotors_ok]", "spin_rotors", "timeout(20s)", "resume"))
    assert look["delivered"] == look["paused"]


def test_mermaid_has_no_history_and_nothing_that_crosses_a_region(compared: ModuleType) -> None:
    export = compared.of_mermaid()

    assert 'state "H" as interrupted' in export.text
    assert "resume" not in export.text
    assert "after" not in export.text
    assert len(export.lost) == 3


@pytest.mark.parametrize("name", ["python-statemachine", "transitions", "mermaid"])
def test_the_pictures_of_other_libraries_are_sharp_and_complete(name: str) -> None:
    data = (ROOT / "docs" / "pictures" / f"{name}.png").read_bytes()

    width, height = struct.unpack(">II", data[16:24])

    assert min(width, height) > 600

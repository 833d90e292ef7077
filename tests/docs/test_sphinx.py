"""The directive `fsm` in Sphinx: a picture for each builder, or a warning at the line of the directive."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest
from sphinx.cmd.build import main as sphinx_build

from durable_fsm.diagram.theme import DARK, LIGHT
from tests.docs.chromium import Chromium

CONF = 'project = "A shop"\nextensions = ["durable_fsm.docs.sphinx"]\nhtml_theme = "furo"\n'
INDEX = """
Doors
=====

.. fsm:: shop_of_docs:Door
   :active: wide
   :caption: A door
   :table:

.. fsm:: shop_of_docs:Door
   :depth: 1
"""

COLOURS = """(() => {
  const paint = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
  return {bg: paint(".fsm .bg", "fill"), ink: paint(".fsm .title", "fill"), after: paint(".t-after .edge", "stroke")};
})()"""


def built(folder: Path, builder: str, index: str = INDEX) -> tuple[int, Path]:
    """The exit code of `sphinx-build -W`, and where it wrote. Builders share what was read."""
    source, output = folder, folder / "build" / builder
    (source / "conf.py").write_text(CONF, "utf-8")
    if not (source / "index.rst").exists():
        (source / "index.rst").write_text(index, "utf-8")
    trees = str(folder / "build" / "doctrees")
    return sphinx_build(["-W", "-q", "-b", builder, "-d", trees, str(source), str(output)]), output


def rgb(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def test_a_page_shows_the_picture_with_its_caption_and_its_table(shop: Path) -> None:
    code, output = built(shop, "html")
    html = (output / "index.html").read_text("utf-8")

    assert code == 0
    assert html.count('class="fsm"') == 2
    assert '<g id="fsm1-state-wide" class="fsm-state atomic is-active"' in html
    assert "<figcaption>A door</figcaption>" in html
    assert '<table class="fsm-table docutils' in html
    assert "<p>after 5 s</p>" in html
    assert "2 states inside" in html
    assert 'href="_static/durable_fsm.css' in html
    assert ".fsm .box" in (output / "_static" / "durable_fsm.css").read_text("utf-8")


def test_print_gets_a_png_and_plain_text_the_transition_table(shop: Path) -> None:
    latex, text = built(shop, "latex"), built(shop, "text")
    table = (text[1] / "index.txt").read_text("utf-8")

    assert (latex[0], text[0]) == (0, 0)
    pictures = [path.read_bytes() for path in latex[1].glob("fsm-*.png")]
    assert len(pictures) == 2
    assert all(struct.unpack(">I", picture[16:20])[0] > 200 for picture in pictures)
    assert r"\sphinxincludegraphics{{fsm-" in next(latex[1].glob("*.tex")).read_text("utf-8")
    assert re.search(r"\| opened +\| after 5 s +\| +\| +\| closed +\|", table)
    assert "A door" in table


def test_a_changed_definition_is_drawn_again_although_the_page_is_unchanged(shop: Path) -> None:
    built(shop, "html")
    module = shop / "shop_of_docs.py"
    trees = shop / "build" / "doctrees"

    first = (trees / "index.doctree").stat().st_mtime_ns
    built(shop, "html")
    second = (trees / "index.doctree").stat().st_mtime_ns
    module.write_text(module.read_text("utf-8") + "\n\nCHANGED = True\n", "utf-8")
    built(shop, "html")

    assert first == second
    assert (trees / "index.doctree").stat().st_mtime_ns > second


@pytest.mark.parametrize(
    ("directive", "reason"),
    [
        ("shop_of_docs:Dor", "fsm: 'shop_of_docs:Dor': 'shop_of_docs' has no 'Dor'. It has 'Door' (statechart)"),
        ("shop_of_docs:Door\n   :theme: red", "fsm: 'shop_of_docs:Door': 'theme' cannot be 'red'."),
        ("shop_of_docs:Door\n   :active: shut", "the active state 'shut' does not exist."),
        ("shop_of_docs:Door\n   :direction: LR", "fsm: 'shop_of_docs:Door': "),
    ],
)
def test_a_directive_that_cannot_be_drawn_fails_the_build_and_shows_in_the_page(
    shop: Path, capsys: pytest.CaptureFixture[str], directive: str, reason: str
) -> None:
    code, output = built(shop, "html", f"Doors\n=====\n\n.. fsm:: {directive}\n")

    said = capsys.readouterr().err
    assert code == 1
    assert re.search(rf"index\.rst:4: WARNING: .*{re.escape(reason)}", said)
    assert "Cannot draw" in (output / "index.html").read_text("utf-8")


@pytest.mark.browser
@pytest.mark.parametrize(("scheme", "colours"), [("light", LIGHT), ("dark", DARK)])
def test_pictures_follow_the_colour_scheme_of_furo_and_pydata(
    shop: Path, chromium: Chromium, scheme: str, colours: dict[str, str]
) -> None:
    _, output = built(shop, "html")

    seen = chromium.ask(output / "index.html", COLOURS, first=f'document.body.dataset.theme = "{scheme}"')

    assert seen == {token: rgb(colours[token]) for token in ("bg", "ink", "after")}

"""The fence `fsm` in MkDocs: a picture in the colours of the page, or a warning with page, target and reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from statemachine import StateChart

from durable_fsm.diagram.theme import DARK, LIGHT
from tests.docs.chromium import Chromium

CONFIG = """
site_name: A shop
use_directory_urls: false
theme:
  name: material
  font: false
  palette:
    - scheme: default
      toggle: { icon: material/weather-night, name: To dark mode }
    - scheme: slate
      toggle: { icon: material/weather-sunny, name: To light mode }
plugins: [search, fsm]
"""

PAGE = """
# Doors

```fsm
shop_of_docs:Door
active: wide
caption: A <wide> door
table: true
```

- In a list:

    ```fsm
    shop_of_docs:Door
    depth: 1
    ```

``` {.fsm theme=dark}
shop_of_docs:Door
```
"""

OURS = '<svg xmlns="http://www.w3.org/2000/svg" class="fsm"'
SWITCH = """
[...document.querySelectorAll("input[data-md-color-scheme]")].find(it => it.dataset.mdColorScheme == "slate").click()
"""
COLOURS = """(() => {
  const paint = (selector, name) => getComputedStyle(document.querySelector(selector))[name];
  return {
    scheme: document.body.dataset.mdColorScheme,
    bg: paint(".fsm .bg", "fill"),
    ink: paint(".fsm .title", "fill"),
    active: paint(".fsm .is-active > .box", "fill"),
    after: paint(".fsm .t-after .edge", "stroke"),
    stroke: paint(".fsm .final > .box", "stroke"),
  };
})()"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """mkdocs-material advertises its successor otherwise."""
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")


def built(folder: Path, page: str, config: str = CONFIG) -> Path:
    """The page of a site of one page, built as `mkdocs build --strict` does."""
    (folder / "mkdocs.yml").write_text(config, "utf-8")
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(page, "utf-8")
    build(load_config(str(folder / "mkdocs.yml"), strict=True, site_dir=str(folder / "site")))
    return folder / "site" / "index.html"


def rgb(colour: str) -> str:
    """A colour of a theme as a browser says it."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"


def test_a_fence_becomes_a_picture_with_its_caption_and_its_table(shop: Path) -> None:
    html = built(shop, PAGE).read_text("utf-8")

    assert html.count(OURS) == 2
    assert '<g id="fsm1-state-wide" class="fsm-state atomic is-active"' in html
    assert "<figcaption>A &lt;wide&gt; door</figcaption>" in html
    assert "<td>after 5 s</td>" in html
    assert "2 states inside" in html


def test_all_ids_of_a_page_are_different(shop: Path) -> None:
    ids = re.findall(r'\bid="([^"]+)"', built(shop, PAGE).read_text("utf-8"))

    assert len(ids) > 20
    assert len(set(ids)) == len(ids)


def test_pictures_share_one_style_sheet_and_are_not_in_the_search_index(shop: Path) -> None:
    page = built(shop, PAGE)
    found = json.loads((page.parent / "search" / "search_index.json").read_text("utf-8"))

    assert "<style>" not in page.read_text("utf-8").partition("<body")[2]
    assert 'href="assets/durable_fsm.css"' in page.read_text("utf-8")
    assert ".fsm .box" in (page.parent / "assets" / "durable_fsm.css").read_text("utf-8")
    assert "State machine" not in json.dumps(found)


def test_a_picture_with_a_fixed_theme_is_an_image_with_its_own_colours(shop: Path) -> None:
    html = built(shop, PAGE).read_text("utf-8")

    assert re.findall(r'<img src="data:image/svg\+xml;base64,[^"]+" alt="([^"]+)"', html) == [
        "State machine Door: 5 states"
    ]


@pytest.mark.browser
def test_the_theme_switch_of_the_page_changes_the_colours_of_its_pictures(shop: Path, chromium: Chromium) -> None:
    page = built(shop, PAGE)
    tokens = ("bg", "ink", "active", "after", "stroke")

    day = chromium.ask(page, COLOURS)
    night = chromium.ask(page, COLOURS, first=SWITCH)

    assert day == {"scheme": "default"} | {token: rgb(LIGHT[token]) for token in tokens}
    assert night == {"scheme": "slate"} | {token: rgb(DARK[token]) for token in tokens}


FENCES = {
    "no such module": (
        "there_is_none:Door",
        "'there_is_none:Door': 'there_is_none' cannot be imported: there is no module 'there_is_none'.",
    ),
    "no such name": ("shop_of_docs:Dor", "'shop_of_docs:Dor': 'shop_of_docs' has no 'Dor'. It has 'Door' (statechart)"),
    "no chart": (
        "shop_of_docs:STREETS",
        "'shop_of_docs:STREETS': 'shop_of_docs:STREETS' is an int, neither a statechart nor an application.",
    ),
    "no name": (
        "shop_of_docs",
        "'shop_of_docs': 'shop_of_docs' does not name a definition. Write 'module:Name', 'file.py:Name' or",
    ),
    "no target": ("", "'': the first line must name what to draw, as in shop.orders:Order."),
    "no such file": ("other.py:Door", "'other.py:Door': There is no file 'other.py'."),
    "no such document": ("order.scxml", "'order.scxml': 'order.scxml' cannot be read: No such file or directory."),
    "not durable": ("shop_of_docs:Sleepy", "'shop_of_docs:Sleepy': Sleepy: "),
    "no such option": ("shop_of_docs:Door\ncolour: red", "unknown option 'colour'; use theme, depth, active,"),
    "no such theme": ("shop_of_docs:Door\ntheme: red", "'shop_of_docs:Door': 'theme' cannot be 'red'."),
    "no depth": ("shop_of_docs:Door\ndepth: 0", "'shop_of_docs:Door': 'depth' cannot be '0'."),
    "no such state": ("shop_of_docs:Door\nactive: shut", "the active state 'shut' does not exist. There are 'closed',"),
    "nested to the right": ("shop_of_docs:Door\ndirection: LR", "'shop_of_docs:Door': "),
    "no option at all": ("shop_of_docs:Door\nquickly", "'quickly' is not an option; write 'name: value'."),
}


@pytest.mark.parametrize("case", FENCES)
def test_a_fence_that_cannot_be_drawn_fails_the_build_in_one_line(
    case: str, shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body, reason = FENCES[case]

    with pytest.raises(Abort, match="Aborted with 1 warnings in strict mode"):
        built(shop, f"# Doors\n\n```fsm\n{body}\n```\n")

    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith("fsm: index.md: '")
    assert reason in line
    assert "\n" not in line
    assert "Cannot draw" in (shop / "site" / "index.html").read_text("utf-8")


def test_modules_are_found_in_the_configured_paths_and_files_beside_the_configuration(shop: Path) -> None:
    (shop / "src").mkdir()
    (shop / "shop_of_docs.py").rename(shop / "src" / "shop_of_docs.py")
    config = CONFIG.replace("fsm]", "{fsm: {paths: [src]}}]")

    page = built(shop, "```fsm\nshop_of_docs:Door\n```\n\n```fsm\nshop_of_docs.py:Door\n```\n", config)

    assert page.read_text("utf-8").count(OURS) == 2


def test_other_fences_stay_and_superfences_need_not_be_configured(shop: Path) -> None:
    others = (
        CONFIG
        + """
markdown_extensions:
  - pymdownx.superfences:
      custom_fences:
        - { name: mermaid, class: mermaid, format: !!python/name:pymdownx.superfences.fence_code_format }
"""
    )

    page = built(shop, "```fsm\nshop_of_docs:Door\n```\n\n```mermaid\nx\n```\n", others)

    assert '<pre class="mermaid">' in page.read_text("utf-8")
    assert page.read_text("utf-8").count(OURS) == 1


def test_drawing_a_class_creates_no_instance(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StateChart, "__init__", None)

    assert built(shop, PAGE).read_text("utf-8").count(OURS) == 2


def test_the_style_sheets_of_a_site_can_override_our_colours(shop: Path) -> None:
    html = built(shop, PAGE, CONFIG + "\nextra_css: [own.css]\n").read_text("utf-8")

    assert html.index("assets/durable_fsm.css") < html.index("own.css")


def test_states_and_labels_of_a_page_link_to_their_source(shop: Path) -> None:
    page = built(shop, "```fsm\nshop_of_docs:Door\nsource_url: https://x.example/{file}#L{line}\n```\n")

    line = 1 + (shop / "shop_of_docs.py").read_text("utf-8").split("\n").index("    closed = State(initial=True)")
    assert re.search(rf'<a href="https://x\.example/[^"]*shop_of_docs\.py#L{line}">', page.read_text("utf-8"))

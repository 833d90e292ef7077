"""README.md: it is short, its commands exist, and its code, its picture and the page of the site agree."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from durable_fsm.testing import assert_diagram_fresh

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
HOME = (ROOT / "docs" / "index.md").read_text("utf-8")
SHOP = ROOT / "docs" / "shop.py"
MOST_LINKS = 12
LINK = re.compile(r"(?<!!)\[[^\]]*\]\([^)]+\)|<a\s|(?<![(\w`])https?://(?!127\.0\.0\.1)")


def section(title: str) -> str:
    """The text of a section, without its heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The cells of the table in a section, without its heading."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_readme_is_no_maze_of_links() -> None:
    assert 5 < len(LINK.findall(README)) <= MOST_LINKS


@pytest.mark.parametrize("link", ["[a](b.md)", "https://restate.dev", '<a href="b.md">'])
def test_a_link_is_counted_however_it_is_written(link: str) -> None:
    assert len(LINK.findall(f"see {link} and ![a picture](c.svg)")) == 1


def test_the_guarantees_are_few() -> None:
    assert 5 <= len(rows("What is guaranteed")) <= 8


def test_every_other_product_is_better_at_something() -> None:
    compared = rows("Compared with others")

    assert len(compared) == 5
    assert [row for row in compared if not all(row) or len(row) != 4] == []


def test_every_make_command_of_the_readme_exists() -> None:
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", README, re.MULTILINE))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)

    assert len(named) > 4
    assert {one or other for one, other in named} <= set(targets)


def test_installation_and_first_event_are_six_commands() -> None:
    [block] = re.findall(r"^```sh\n(.*?)^```$", section("Install it and send a first event"), re.MULTILINE | re.DOTALL)

    assert len(block.splitlines()) == 6


BEGINNERS = ("README.md", "docs/index.md", "docs/tutorial.md", "docs/tour.md", "docs/cli.md")


def test_the_pages_for_beginners_install_what_their_commands_need() -> None:
    """`dev` prints a link to the console, `new` draws a diagram and writes a test."""
    pages = {page: (ROOT / page).read_text("utf-8") for page in BEGINNERS}

    installed = {
        page: re.search(r"^(?:\$ )?pip install '[\w./-]+\[([\w,]+)\]'", pages[page], re.MULTILINE) for page in pages
    }

    assert {page: found and found[1] for page, found in installed.items()} == dict.fromkeys(
        BEGINNERS, "console,diagrams,testing"
    )


def test_the_pages_for_beginners_promise_the_system_on_which_every_test_runs() -> None:
    limits = (ROOT / "docs" / "limits.md").read_text("utf-8")
    promised = {
        system
        for page in BEGINNERS
        for system in re.findall(r"Python 3\.11 or later on ([^,.]+)[,.]", (ROOT / page).read_text("utf-8"))
    }

    assert promised == {"Linux"}
    assert "| Linux, x64 | everything; every test runs here |" in limits


def test_readme_and_home_page_show_the_code_that_is_drawn() -> None:
    shown = f"```python\n{SHOP.read_text('utf-8')}```\n"

    assert shown in README
    assert shown in HOME


def test_the_picture_shows_the_code_beside_it() -> None:
    assert_diagram_fresh(runpy.run_path(str(SHOP))["Order"], ROOT / "docs" / "pictures" / "shop.svg", theme="auto")

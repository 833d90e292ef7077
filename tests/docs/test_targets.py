"""What a page may name, and what it is told when it names something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from durable_fsm.docs.figure import DARK_PAGES, FOLLOWING_PAGES, style_sheet
from durable_fsm.docs.targets import NotThere, find

GATE = """
<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" name="Gate" initial="shut">
  <state id="shut"><transition event="open" target="gone"/></state>
  <final id="gone"/>
</scxml>
"""


def test_a_module_a_file_and_a_document_are_found_with_the_file_they_are_written_in(shop: Path) -> None:
    (shop / "gate.scxml").write_text(GATE, "utf-8")
    module = find("shop_of_docs:Door", [shop])
    file = find("shop_of_docs.py:Door", [shop])

    document = find("gate.scxml", [shop])

    assert module.chart.name == file.chart.name == "Door"
    assert module.file == file.file == shop / "shop_of_docs.py"
    assert set(document.chart.states) == {"", "shut", "gone"}
    assert document.file == shop / "gate.scxml"


def test_a_file_is_imported_once(shop: Path) -> None:
    (shop / "shop_of_docs_too.py").write_text((shop / "shop_of_docs.py").read_text("utf-8"), "utf-8")

    first, second = (find("shop_of_docs_too.py:Door", [shop]) for _ in range(2))

    assert first.chart is second.chart


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1 / 0", "'shop_of_docs_bad' cannot be imported: ZeroDivisionError: division by zero"),
        ("import not_there", "'shop_of_docs_bad' cannot be imported: there is no module 'not_there'."),
        ("Door = 3", "'Door' is no statechart. It has no statechart."),
    ],
)
def test_a_module_that_cannot_be_used_says_why(shop: Path, body: str, reason: str) -> None:
    (shop / "shop_of_docs_bad.py").write_text(body, "utf-8")

    with pytest.raises(NotThere) as caught:
        find("shop_of_docs_bad:Door", [shop])

    assert str(caught.value) == reason


def test_a_document_with_problems_says_which(shop: Path) -> None:
    (shop / "gate.scxml").write_text(GATE.replace('target="gone"', 'target="nowhere"'), "utf-8")

    with pytest.raises(NotThere, match="nowhere"):
        find("gate.scxml", [shop])


def test_a_page_that_leaves_its_scheme_to_the_browser_follows_the_browser() -> None:
    sheet = style_sheet()
    following = sheet.index("@media (prefers-color-scheme:dark){" + FOLLOWING_PAGES)

    assert sheet.index(":root,") < sheet.index(DARK_PAGES) < following

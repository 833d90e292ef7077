"""How a definition is found by its name, and the messages for a name that leads nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_fsm.errors import DefinitionError
from durable_fsm.frontends.locate import TargetNotFound, locate_chart, locate_object

SHOP = """
from statemachine import State, StateChart

class Door(StateChart):
    closed = State(initial=True)
    opened = State(final=True)
    open = closed.to(opened)

class Street:
    Door = Door
"""

GATE = """
<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" name="Gate" initial="shut">
  <state id="shut"><transition event="open" target="gone"/></state>
  <final id="gone"/>
</scxml>
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Path]:
    """A directory with the module `locate_shop`; what is imported from it is forgotten again."""
    known, path = set(sys.modules), list(sys.path)
    (tmp_path / "locate_shop.py").write_text(SHOP, "utf-8")
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if name.startswith("locate_"):
            del sys.modules[name]


def test_a_module_a_file_and_a_document_are_found_with_the_file_they_are_written_in(shop: Path) -> None:
    (shop / "gate.scxml").write_text(GATE, "utf-8")
    module = locate_chart("locate_shop:Door", [shop])
    file = locate_chart("locate_shop.py:Door", [shop])

    document = locate_chart("gate.scxml", [shop])

    assert module.chart.name == file.chart.name == "Door"
    assert module.file == file.file == shop / "locate_shop.py"
    assert set(document.chart.states) == {"", "shut", "gone"}
    assert document.file == shop / "gate.scxml"


def test_a_definition_inside_a_class_is_found_by_its_dotted_name(shop: Path) -> None:
    assert locate_chart("locate_shop:Street.Door", [shop]).chart.name == "Door"


def test_a_file_of_a_package_is_imported_as_its_module(shop: Path) -> None:
    package = shop / "locate_package"
    package.mkdir()
    (package / "__init__.py").write_text("", "utf-8")
    (package / "names.py").write_text("NAME = 'Ada'", "utf-8")
    (package / "people.py").write_text("from locate_package.names import NAME", "utf-8")

    assert locate_object(f"{package / 'people.py'}:NAME") == "Ada"
    assert sys.modules["locate_package.people"]


def test_a_file_is_imported_once(shop: Path) -> None:
    (shop / "locate_too.py").write_text(SHOP, "utf-8")

    first, second = (locate_chart("locate_too.py:Door", [shop]) for _ in range(2))

    assert first.chart is second.chart


def test_files_of_one_name_in_two_directories_are_two_modules(shop: Path) -> None:
    for folder, name in (("here", "Ada"), ("there", "Bea")):
        (shop / folder).mkdir()
        (shop / folder / "locate_one.py").write_text(f"NAME = '{name}'", "utf-8")

    assert [locate_object(f"{shop / folder / 'locate_one.py'}:NAME") for folder in ("here", "there")] == ["Ada", "Bea"]


def test_a_file_that_could_not_be_imported_is_tried_again(shop: Path) -> None:
    (shop / "locate_bad.py").write_text("1 / 0", "utf-8")
    with pytest.raises(TargetNotFound):
        locate_chart("locate_bad.py:Door", [shop])

    (shop / "locate_bad.py").write_text(SHOP, "utf-8")

    assert locate_chart("locate_bad.py:Door", [shop]).chart.name == "Door"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("locate_shop", "'locate_shop' does not name a definition. Write 'module:Name', 'file.py:Name' or the path"),
        ("locate_shop:", "'locate_shop:' does not name a definition."),
        ("locate_shop:Dor", "'locate_shop' has no 'Dor'. It has 'Door'."),
        ("locate_shop:not a name", "'locate_shop' has no 'not a name'. It has 'Door'."),
        ("locate_shop:Street", "'locate_shop:Street' is not a statechart. It has 'Door'."),
        ("locate_nowhere:Door", "'locate_nowhere' cannot be imported: there is no module 'locate_nowhere'."),
        ("locate_nowhere.py:Door", "There is no file 'locate_nowhere.py'."),
        ("nowhere.scxml", "'nowhere.scxml' cannot be read: No such file or directory."),
    ],
)
def test_a_target_that_leads_nowhere_says_why_and_what_there_is(shop: Path, target: str, reason: str) -> None:
    with pytest.raises(TargetNotFound) as caught:
        locate_chart(target, [shop])

    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1 / 0", "'locate_bad' cannot be imported: ZeroDivisionError: division by zero"),
        ("import not_there", "'locate_bad' cannot be imported: there is no module 'not_there'."),
        ("Door = 3", "'locate_bad:Door' is not a statechart. It has no statechart."),
    ],
)
def test_a_module_that_cannot_be_used_says_why(shop: Path, body: str, reason: str) -> None:
    (shop / "locate_bad.py").write_text(body, "utf-8")

    with pytest.raises(TargetNotFound) as caught:
        locate_chart("locate_bad:Door", [shop])

    assert str(caught.value) == reason


def test_a_document_with_problems_says_which(shop: Path) -> None:
    (shop / "gate.scxml").write_text(GATE.replace('target="gone"', 'target="nowhere"'), "utf-8")

    with pytest.raises(DefinitionError, match="nowhere"):
        locate_chart("gate.scxml", [shop])

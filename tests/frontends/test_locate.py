"""How a definition is found by its name, and the messages for a name that leads nowhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_fsm.errors import DefinitionError
from durable_fsm.frontends.locate import (
    AuthorFailed,
    TargetNotFound,
    locate,
    locate_chart,
    locate_charts,
    locate_last_chart,
)

SHOP = """
from statemachine import State, StateChart

class Door(StateChart):
    closed = State(initial=True)
    opened = State(final=True)
    open = closed.to(opened)

class Street:
    Door = Door
"""

API = """
from fastapi import FastAPI

import durable_fsm
from locate_shop import Door

api = FastAPI()
api.mount("/machines", durable_fsm.app(Door))

@api.get("/doors")
def doors() -> list[str]: ...

outer = FastAPI()
outer.mount("/v1/", api)
empty = FastAPI()
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


@pytest.mark.parametrize(
    ("name", "charts", "mounts"),
    [("api", ["Door"], ("/machines",)), ("outer", ["Door"], ("/v1/machines",)), ("empty", [], ("",))],
)
def test_charts_that_fastapi_mounts_are_found_with_their_paths(
    shop: Path, name: str, charts: list[str], mounts: tuple[str, ...]
) -> None:
    (shop / "locate_api.py").write_text(API, "utf-8")

    found = locate(f"locate_api:{name}", [shop])

    assert [chart.name for chart in found.charts] == charts
    assert found.mounts == mounts


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
    (package / "doors.py").write_text(SHOP, "utf-8")
    (package / "house.py").write_text("from locate_package.doors import Door", "utf-8")

    assert locate_chart(f"{package / 'house.py'}:Door").chart.name == "Door"
    assert sys.modules["locate_package.house"]


def test_a_file_is_imported_once(shop: Path) -> None:
    (shop / "locate_too.py").write_text(SHOP, "utf-8")

    first, second = (locate_chart("locate_too.py:Door", [shop]) for _ in range(2))

    assert first.chart is second.chart


def test_files_of_one_name_in_two_directories_are_two_modules(shop: Path) -> None:
    for folder, name in (("here", "Door"), ("there", "Gate")):
        (shop / folder).mkdir()
        (shop / folder / "locate_one.py").write_text(
            SHOP.replace("class Door", f"class {name}").replace(" = Door", " = 1")
        )

    targets = [f"{shop / 'here' / 'locate_one.py'}:Door", f"{shop / 'there' / 'locate_one.py'}:Gate"]
    assert [locate_chart(target).chart.name for target in targets] == ["Door", "Gate"]


def test_a_file_that_could_not_be_imported_is_tried_again(shop: Path) -> None:
    (shop / "locate_bad.py").write_text("1 / 0", "utf-8")
    with pytest.raises(AuthorFailed):
        locate_chart("locate_bad.py:Door", [shop])

    (shop / "locate_bad.py").write_text(SHOP, "utf-8")

    assert locate_chart("locate_bad.py:Door", [shop]).chart.name == "Door"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("locate_shop", "'locate_shop' does not name a definition. Write 'module:Name', 'file.py:Name' or the path"),
        ("locate_shop:", "'locate_shop:' does not name a definition."),
        (
            "locate_shop:Dor",
            "'locate_shop' has no 'Dor'. It has 'Door' (statechart), 'Street' (class). Did you mean 'Door'?",
        ),
        ("locate_shop:not a name", "'locate_shop' has no 'not a name'. It has 'Door' (statechart), 'Street' (class)."),
        (
            "locate_shop:Street",
            "'locate_shop:Street' is a class, neither a statechart nor an application. It has 'Door' (statechart).",
        ),
        ("locate_shop.py", "'locate_shop.py' is a file. Name what you mean in it: 'locate_shop.py:Door'."),
        (
            "locate_shopp:Door",
            "'locate_shopp' cannot be imported: there is no module 'locate_shopp'. Did you mean 'locate_shop'?",
        ),
        ("locate_shopp.py:Door", "There is no file 'locate_shopp.py'. Did you mean 'locate_shop.py'?"),
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
        ("1 / 0", "ZeroDivisionError: division by zero (BAD:1)"),
        ("def f():\n    raise ValueError('a\\nb')\nf()", "ValueError: a\nb (BAD:2)"),
        ("raise ValueError('\\n'.join('abcdef'))", "ValueError: a\nb\nc\nd\n… (BAD:1)"),
        ("raise RuntimeError", "RuntimeError: no message (BAD:1)"),
        ("import json\njson.loads('x')", "JSONDecodeError: Expecting value: line 1 column 1 (char 0) (BAD:2)"),
        ("\nx = (", "SyntaxError: '(' was never closed (BAD:2)"),
        (
            "import sys\nsys.exit(4)",
            "SystemExit: 4 (BAD:2). Do that under if __name__ == '__main__', not while the module is imported.",
        ),
        ("seats = 1\nprint(seat)", "NameError: name 'seat' is not defined (BAD:2). Did you mean 'seats'?"),
        ("timedelta(1)", "NameError: name 'timedelta' is not defined (BAD:1). Import or define it first."),
        (
            "import not_there",
            (
                "ModuleNotFoundError: No module named 'not_there' (BAD:1)."
                " Install it where durable-fsm runs, or correct the import."
            ),
        ),
        (
            "from locate_bad import app",
            (
                "ImportError: cannot import name 'app' from partially initialized module 'locate_bad'"
                " (most likely due to a circular import) (BAD) (BAD:1)."
                " Move what both modules need into a third one."
            ),
        ),
    ],
    ids=[
        "raises",
        "deep",
        "long",
        "silent",
        "in a library",
        "syntax",
        "exits",
        "misspelt",
        "undefined",
        "missing",
        "circular",
    ],
)
@pytest.mark.parametrize("target", ["locate_bad:Door", "locate_bad.py:Door", "locate_bad:*"])
def test_a_module_that_cannot_be_imported_says_what_was_raised_and_where(
    shop: Path, body: str, reason: str, target: str
) -> None:
    bad = shop / "locate_bad.py"
    bad.write_text(body, "utf-8")
    place = target.partition(":")[0]

    with pytest.raises(AuthorFailed) as caught:
        locate_chart(target, [shop])

    assert str(caught.value) == f"'{place}' cannot be imported: {reason.replace('BAD', str(bad))}"


def test_code_of_the_author_that_fails_while_a_chart_is_read_is_not_mistaken_for_another_kind_of_thing(
    shop: Path,
) -> None:
    bad = shop / "locate_bad.py"
    bad.write_text(
        SHOP.replace("class Door(StateChart):", "class Odd(type(StateChart)):\n"
        "    def __getattr__(cls, name):\n        raise TypeError(name)\n\n"
        "class Door(StateChart, metaclass=Odd):"), "utf-8"
    )  # fmt: skip

    with pytest.raises(AuthorFailed, match=rf"'locate_bad:Door' cannot be read: TypeError: \w+ \({bad}:6\)"):
        locate_chart("locate_bad:Door", [shop])


MANY = (
    SHOP
    + """
import durable_fsm
from durable_fsm import TransitionsConfig

Lamp = TransitionsConfig("Lamp", states=["off", "on"], transitions=[["press", "off", "on"]], initial="off")
app = durable_fsm.app(Door, Lamp)
only = durable_fsm.app(Lamp)
number = 3

class Other:
    async def __call__(self, scope, receive, send): ...

other = Other()

def helper(scope, receive, send): ...

async def asgi(scope, receive, send): ...
"""
)


def test_an_application_stands_for_its_charts(shop: Path) -> None:
    (shop / "locate_many.py").write_text(MANY, "utf-8")

    found = locate("locate_many:app", [shop])

    assert [chart.name for chart in found.charts] == ["Door", "Lamp"]
    assert callable(found.application)
    assert locate("locate_many:Lamp").application is None
    assert [chart.name for chart in locate_charts("locate_many:app")] == ["Door", "Lamp"]
    assert locate_chart("locate_many:only").chart.name == "Lamp"
    assert locate_chart("locate_many:app", name="Lamp").chart.name == "Lamp"
    assert locate("locate_many:other").charts == locate("locate_many:asgi").charts == ()
    assert locate_last_chart(shop / "locate_many.py").endswith(":Lamp")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("app", "'locate_many:app' hosts 'Door', 'Lamp'. Name one statechart: 'locate_many:Door', 'locate_many:Lamp'."),
        (
            "other",
            "'locate_many:other' hosts no statechart. Name one statechart: 'locate_many:Door', 'locate_many:Lamp'.",
        ),
        (
            "number",
            "'locate_many:number' is an int, neither a statechart nor an application. It has 'Door' (statechart),",
        ),
        ("helper", "'locate_many:helper' is a function, neither a statechart nor an application."),
        ("durable_fsm", "'locate_many:durable_fsm' is a module, neither a statechart nor an application."),
        (
            "Othe",
            "'locate_many' has no 'Othe'. It has 'Door' (statechart), 'Lamp' (TransitionsConfig), 'app' (application)",
        ),
    ],
)
def test_a_target_of_the_wrong_kind_says_what_it_is_and_what_there_is(shop: Path, target: str, reason: str) -> None:
    (shop / "locate_many.py").write_text(MANY, "utf-8")

    with pytest.raises(TargetNotFound) as caught:
        locate_chart(f"locate_many:{target}", [shop])

    assert str(caught.value).startswith(reason)


def test_a_file_may_have_a_name_that_is_no_identifier(shop: Path) -> None:
    (shop / "07-door.py").write_text(MANY, "utf-8")

    assert locate_chart("07-door.py:Door", [shop]).chart.name == "Door"


def test_a_document_with_problems_says_which(shop: Path) -> None:
    (shop / "gate.scxml").write_text(GATE.replace('target="gone"', 'target="nowhere"'), "utf-8")

    with pytest.raises(DefinitionError, match="nowhere"):
        locate_chart("gate.scxml", [shop])

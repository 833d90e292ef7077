"""The reference names everything that a program may import, on one page each; its tables leave nothing out."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "reference").glob("*.md"))
SOURCE = ROOT / "src" / "durable_fsm"
PUBLIC = (
    "durable_fsm",
    "durable_fsm.client",
    "durable_fsm.console",
    "durable_fsm.diagram",
    "durable_fsm.diagram.exports",
    "durable_fsm.docs",
    "durable_fsm.errors",
    "durable_fsm.explore",
    "durable_fsm.serving",
    "durable_fsm.testing",
    "durable_fsm.testing.plugin",
)
"""Packages whose `__all__` is for programs of users."""

VARIABLE = re.compile(r"\b(DURABLE_FSM_[A-Z_]+|RESTATE_SERVER|XDG_CACHE_HOME|NO_COLOR)\b")
OF_THE_PROGRAM = {
    "DURABLE_FSM_COMPLETE",
    "DURABLE_FSM_OUTCOMES",
    "DURABLE_FSM_REPLAYED",
    "DURABLE_FSM_REPLAYED_TRUSTED",
}
"""Variables that only programs set."""


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """The hook of MkDocs that makes the tables."""
    spec = importlib.util.spec_from_file_location("generated", ROOT / "docs" / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def canonical(path: str) -> str:
    """The name under which a value was defined: some packages export what another one defines."""
    package, _, name = path.rpartition(".")
    value = getattr(importlib.import_module(package), name)
    home, called = getattr(value, "__module__", ""), getattr(value, "__name__", "")
    return f"{home}.{called}" if str(home).startswith("durable_fsm") and called else path


def documented(generated: ModuleType) -> Counter[str]:
    named = [
        path for page in PAGES for path in re.findall(r"^::: (durable_fsm[\w.]*)$", page.read_text(), re.MULTILINE)
    ]
    return Counter(map(canonical, [*named, *map(generated.anchor, generated.public_errors())]))


def test_every_public_name_is_on_one_page(generated: ModuleType) -> None:
    public = {canonical(f"{package}.{name}") for package in PUBLIC for name in importlib.import_module(package).__all__}

    found = documented(generated)

    assert public - found.keys() == set(), "name it on a page of docs/reference"
    assert {name: count for name, count in found.items() if count > 1} == {}


def test_every_error_says_what_to_do(generated: ModuleType) -> None:
    remedies = {kind.__name__: generated.told(kind)[1] for kind in generated.public_errors()}

    assert len(remedies) > 30
    assert [name for name, remedy in remedies.items() if not remedy.endswith(".")] == [], (
        "add 'Remedy: …' to its docstring"
    )


def test_every_error_with_a_status_has_a_section(generated: ModuleType) -> None:
    page = generated.errors_in_detail()

    for kind in generated.STATUS:
        assert f"### `{kind.__name__}`" in page


FROM_ELSEWHERE = {
    "CallError",
    "CallbackRejected",
    "CallbackTimeout",
    "CallbackUnreadable",
    "DefinitionError",
    "KeyReused",
    "NoAnswer",
    "NotDurable",
    "TerminalError",
    "UnexpectedAnswer",
}
"""Errors with a status that no machine answers with: of definitions, of clients, and of activities, whose chart gets them."""


def test_the_page_about_hosting_lists_every_error_of_a_machine_with_its_status(generated: ModuleType) -> None:
    page = (ROOT / "docs" / "hosting.md").read_text("utf-8")
    section = page.partition("\n## Errors\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (\d{3}) \| (.+?) \|", section, re.MULTILINE)

    told = {name: int(status) for status, names in rows for name in re.findall(r"`(\w+)`", names)}

    assert told.pop("InternalError") == 500
    assert told == {
        kind.__name__: status for kind, status in generated.STATUS.items() if kind.__name__ not in FROM_ELSEWHERE
    }


def test_every_environment_variable_is_on_the_page_about_configuration(generated: ModuleType) -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8")
    texts = [path.read_text("utf-8") for path in SOURCE.rglob("*.py") if "templates" not in path.parts]

    used = {name for text in texts for name in VARIABLE.findall(text)}

    missing = used - OF_THE_PROGRAM - set(VARIABLE.findall(generated.on_page_markdown(page)))

    assert missing == set(), "describe it in OTHER_VARIABLES of docs/generated.py, or name it in OF_THE_PROGRAM"


def test_defaults_are_written_as_a_person_reads_them(generated: ModuleType) -> None:
    page = generated.on_page_markdown((ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8"))

    assert "| `deadline` | `1 d` |" in page
    assert "| `initial` | `500 ms` |" in page
    assert "| `DURABLE_FSM_THREADS` | the service | `64` |" in page
    assert "| `--bind` | `127.0.0.1:9080` |" in page


def test_the_http_api_lists_each_event_with_its_payload(generated: ModuleType) -> None:
    page = generated.http_api()

    assert "### `POST /Order/{key}/checkout` { #Order_checkout" in page
    assert "| `address` | string | yes |" in page
    assert page.count("### `POST") + page.count("One way: `POST") == len(generated.document()["paths"])


def test_a_table_that_does_not_exist_stops_the_build(generated: ModuleType) -> None:
    with pytest.raises(KeyError, match="no-such-table"):
        generated.on_page_markdown("<!-- generated: no-such-table -->\n")

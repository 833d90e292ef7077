"""Each task of the page *How do I …?* has code that runs and a link to read on, and the table at its top lists it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from statemachine import StateChart

from durable_fsm import SyncClient, chart_from
from tests.docs.reader import blocks_of

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "howto.md").read_text("utf-8")
TASK = re.compile(r"^### ([^\n]+)\n\n```(python|sh)\n(.*?)^```\n\n([^\n]+)$", re.MULTILINE | re.DOTALL)
MOST_LINES = 10

RECEIPT = {"chart": "Cart", "key": "o-17", "seq": 2, "outcome": "taken", "configuration": ["paid"], "status": "running"}
SNAPSHOT = RECEIPT | {"data": {"cents": 500}, "version": "1", "life": "a1", "events": []}


class Task(NamedTuple):
    """A task of the page."""

    name: str
    language: str
    code: str
    details: str


TASKS = [Task(*found.groups()) for found in TASK.finditer(PAGE)]


def answer(request: httpx.Request) -> httpx.Response:
    """Answer as a machine does that is paid."""
    return httpx.Response(200, json=SNAPSHOT if request.url.path.endswith("snapshot") else RECEIPT)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the first block of the page defines. Calls of its client reach no server."""
    transport = httpx.MockTransport(answer)

    def client(url: str) -> SyncClient:
        return SyncClient(url, http=httpx.Client(transport=transport, base_url=url))

    names: dict[str, Any] = {"__name__": "howto"}
    run(next(blocks_of(PAGE)).text, "first block", names)
    names["SyncClient"] = client
    return names


def run(code: str, name: str, names: dict[str, Any]) -> None:
    """Run a snippet as a module of its own would, without the `__future__` of this one."""
    exec(compile(code, name, "exec", dont_inherit=True), names)  # noqa: S102


def test_every_task_has_code_and_a_link() -> None:
    assert [task.name for task in TASKS] == re.findall(r"^### (.+)$", PAGE, re.MULTILINE)
    assert len(TASKS) > 50
    assert [task.name for task in TASKS if "](" not in task.details] == []


def test_code_is_short_enough_to_read_at_once() -> None:
    lengths = {task.name: len([line for line in task.code.splitlines() if line.strip()]) for task in TASKS}

    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_the_table_lists_every_task() -> None:
    listed = re.findall(r"\[([^\]]+)\]\(#", PAGE[: PAGE.index("```")])

    assert [name.lower() for name in listed] == [task.name.lower() for task in TASKS]


def test_every_snippet_runs_and_its_charts_can_be_hosted(names: dict[str, Any]) -> None:
    for task in TASKS:
        if task.language == "python":
            before = set(names)
            run(task.code, task.name, names)
            for name in names.keys() - before:
                if isinstance(names[name], type) and issubclass(names[name], StateChart):
                    assert chart_from(names[name]).states

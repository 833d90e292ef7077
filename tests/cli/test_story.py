"""`durable-fsm story`: a story in words, and as a test that passes as long as the story is true."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main
from durable_fsm.cli.story import imported_for
from durable_fsm.explore.proofs import Imported
from durable_fsm.frontends.locate import locate_chart

LAMP = "tests.cli.lamp:Lamp"

STORY: list[dict[str, object]] = [
    {"create": {"presses": 1}, "key": "l-1", "chart": LAMP},
    {"event": "press", "payload": {"by": 2}},
    {"expect": {"outcome": "taken", "leaves": ["on"], "data": {"presses": 3}}},
    {"done": "on", "result": 7},
    {"advance": "4m"},
    {"timer": "go_out"},
    {"expect": {"leaves": ["off"], "status": "running"}},
    {"event": "go_out"},
    {"expect": {"outcome": "forbidden"}},
    {"message": "press", "from": "Wall/w-1"},
    {"error": "on", "message": "no tariff", "code": 402},
    {"receive": "press"},
]

TEST = '''"""The story evening, as `durable-fsm story --pytest` wrote it."""

import pytest

from datetime import timedelta
from durable_fsm import Incoming
from durable_fsm.errors import Forbidden
from durable_fsm.testing import Rehearsal
from tests.cli.lamp import Lamp


def test_evening() -> None:
    machine = Rehearsal(Lamp, key="l-1")
    machine.create({"presses": 1})
    assert machine.send("press", {"by": 2}).outcome == "taken"
    assert machine.leaves == ("on",)
    assert machine.snapshot.data["presses"] == 3
    machine.finish("on", 7)
    machine.advance(timedelta(milliseconds=240000))
    machine.ring("go_out")
    assert machine.leaves == ("off",)
    assert machine.status == "running"
    with pytest.raises(Forbidden):
        machine.send("go_out")
    machine.hear("press", sender="Wall/w-1")
    machine.fail("on", "no tariff", code=402)
    machine.receive(Incoming("press"))
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def story(lines: list[dict[str, object]], *options: str) -> Result:
    Path("evening.story.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return CliRunner().invoke(main, ["story", "evening.story.jsonl", *options])


def test_a_story_becomes_a_test_that_passes() -> None:
    result = story(STORY, "--pytest")

    assert result.output == TEST
    names: dict[str, object] = {}
    exec(compile(result.output, "a written test", "exec"), names)  # noqa: S102 - what we have written ourselves
    test = names["test_evening"]
    assert isinstance(test, Callable)  # type: ignore[arg-type]
    test()  # type: ignore[operator]


def test_the_same_story_can_be_simulated() -> None:
    story(STORY)

    result = CliRunner().invoke(main, ["simulate", LAMP, "--events", "evening.story.jsonl"])

    assert result.exit_code == 0, result.output


def test_a_story_is_printed_in_words() -> None:
    result = story(STORY[:6])

    assert result.output.splitlines() == [
        '   1  create {"presses":1} key="l-1" chart="tests.cli.lamp:Lamp"',
        '   2  event press {"by":2}',
        '   3  expect {"data":{"presses":3},"leaves":["on"],"outcome":"taken"}',
        "   4  done on 7",
        "   5  advance 4m",
        "   6  timer go_out",
    ]


def test_the_test_is_written_into_a_file() -> None:
    result = story(STORY, "--pytest", "-o", "test_evening.py")

    assert result.output == "wrote test_evening.py\n"
    assert Path("test_evening.py").read_text("utf-8") == TEST


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        ([{"event": "press"}], ("--pytest",), "does not name its chart. Name it: --chart module:Name."),
        ([{"event": "press"}, {"x": 1}], (), "evening.story.jsonl, line 2: expected one of"),
        ([{"create": None, "kye": "a"}], (), "line 1: 'kye' has no meaning together with 'create'."),
        ([{"event": "press"}], ("-o", "x.py"), "-o belongs to --pytest."),
        ([{"event": "press", "late": 1}], (), "line 1: 'late' has no meaning together with 'event'."),
        ([{"done": "on", "late": 1}], (), "line 1: 'late' must be true or false, not 1."),
    ],
    ids=["no chart", "no verb", "unknown member", "output", "member of another verb", "kind"],
)
def test_a_mistake_is_told_where_it_is(lines: list[dict[str, object]], options: tuple[str, ...], message: str) -> None:
    result = story(lines, *options)

    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("morning.story.jsonl", (), "There is no file 'morning.story.jsonl'."),
        ("o-17", (), "'o-17' is not a file, and does not name a machine. Write CHART/KEY, as in Order/o-17."),
        ("/o-17", (), "'/o-17' is not a file, and does not name a machine."),
        ("evening.story.jsonl", ("--upto", "2"), "--upto belongs to CHART/KEY."),
    ],
    ids=["no file", "no chart", "no name", "file"],
)
def test_what_is_neither_a_file_nor_a_machine_is_refused(source: str, options: tuple[str, ...], message: str) -> None:
    Path("evening.story.jsonl").write_text('{"event": "press"}', encoding="utf-8")

    result = CliRunner().invoke(main, ["story", source, *options])

    assert result.exit_code == 2
    assert message in result.output


def test_the_test_of_a_machine_imports_its_chart_from_the_application_here_or_as_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    here = Imported("tests.cli.lamp", "Lamp")
    assert imported_for("Lamp", LAMP, locate_chart(LAMP).chart) == here
    assert imported_for("Lamp", None, None) is None  # there is no application here

    Path("pyproject.toml").write_text(f'[tool.durable_fsm]\napp = "{LAMP}"\n', encoding="utf-8")

    assert (imported_for("Lamp", None, None), imported_for("Order", None, None)) == (here, None)

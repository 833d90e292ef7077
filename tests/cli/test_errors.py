"""How the command line shows errors: once, with an exit code for each branch of the tree, and never a traceback of ours.

`errors.txt` holds every class as it is shown; `DURABLE_FSM_WRITE_GOLDEN=1 pytest tests/cli/test_errors.py` writes it again.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from durable_fsm import errors
from durable_fsm.admin.client import AdminRefused
from durable_fsm.cli import main
from durable_fsm.cli.errors import EXIT_CODES, as_shown
from tests.errors.samples import HERE, SAMPLES, tree

GOLDEN = Path(__file__).parent / "errors.txt"


def invoke(error: Exception, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of a command that raises this."""

    @click.command()
    def check() -> None:
        raise error

    monkeypatch.setattr("durable_fsm.cli.check.check", check if not arguments else _with_json(error))
    result = CliRunner().invoke(main, ["check", *arguments])
    assert result.stdout == ""
    return result.exit_code, result.stderr


def _with_json(error: Exception) -> click.Command:
    from durable_fsm.cli.output import json_option

    @click.command()
    @json_option
    def check(*, as_json: bool) -> None:
        assert as_json
        raise error

    return check


def test_every_class_of_the_tree_is_shown_as_the_golden_file_says(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    for sample in SAMPLES:
        code, shown = invoke(sample, monkeypatch)
        lines.append(f"── {type(sample).__name__}, exit code {code}\n{shown}")
    text = "\n".join(lines)

    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_no_class_of_the_tree_is_missing() -> None:
    bases = {errors.EventError, errors.MachineError, errors.CallError}

    assert {type(sample) for sample in SAMPLES} == set(tree()) - bases
    assert all(as_shown(sample).exit_code in EXIT_CODES for sample in SAMPLES)


def test_an_error_is_json_where_the_answer_would_be(monkeypatch: pytest.MonkeyPatch) -> None:
    code, shown = invoke(errors.Gone(**HERE), monkeypatch, "--json")

    assert code == 5
    assert json.loads(shown) == {
        "error": "Gone",
        "message": str(errors.Gone(**HERE)),
        "exit_code": 5,
        "chart": "Order",
        "key": "o-17",
    }


def test_the_facts_of_an_error_are_json_and_not_texts_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rejected = errors.EventRejected(**HERE, event="pay", configuration=("cart",), accepted=("checkout",))

    _, shown = invoke(rejected, monkeypatch, "--json")

    assert json.loads(shown)["metadata"] == {
        "event": "pay",
        "configuration": ["cart"],
        "accepted": ["checkout"],
        "reason": "",
    }


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (AdminRefused("Restate refuses it."), 7, "Error: Restate refuses it.\n"),
        (
            httpx.ConnectError("refused", request=httpx.Request("GET", "http://h:1/x")),
            7,
            "http://h:1 cannot be reached",
        ),
        (ZeroDivisionError("ours"), 70, "this is a bug in durable-fsm, not a mistake of yours. Please report it"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["refused", "unreachable", "bug", "ctrl-c"],
)
def test_errors_outside_the_tree_have_exit_codes_of_their_own(
    error: Exception, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, shown = invoke(error, monkeypatch)

    assert ended == code
    assert words in shown
    assert ("Traceback" in shown) == (code == 70)


def commands() -> list[tuple[str, click.Command]]:
    with click.Context(main) as ctx:
        assert isinstance(main, click.Group)
        found = [(name, main.get_command(ctx, name)) for name in main.list_commands(ctx)]
    return [(name, command) for name, command in found if command is not None]


@pytest.mark.parametrize("command", [command for _, command in commands()], ids=[name for name, _ in commands()])
def test_every_command_and_every_option_has_help(command: click.Command) -> None:
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert silent == []


def test_the_page_about_the_command_line_lists_every_command_and_option_in_the_order_of_help() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")

    for name, command in commands():
        assert f"\n### `{name}`\n" in page
        section = page.split(f"\n### `{name}`\n")[1].split("\n## ")[0].split("\n### ")[0]
        flags = [flag for option in command.params if isinstance(option, click.Option) for flag in option.opts]
        settings = page.split("\n## Settings\n")[1].split("\n## ")[0]
        told = section + re.sub(r"(`--[\w-]+) \w+`", r"\1`", settings) if "--ingress" in flags else section
        assert [flag for flag in flags if f"`{flag}`" not in told and flag.startswith("--")] == [], name
    assert re.findall(r"^### `([\w-]+)`$", page, re.MULTILINE) == [name for name, _ in commands()]
    for code in EXIT_CODES:
        assert f"\n| {code} |" in page

"""How the command line shows errors: once, with an exit code for each branch of the tree, and never a traceback of ours.

`errors.txt` holds every class as it is shown; `DURABLE_FSM_WRITE_GOLDEN=1 pytest tests/cli/test_errors.py` writes it again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click
import httpx
import pytest
from click.testing import CliRunner

from durable_fsm import errors
from durable_fsm.admin.client import AdminRefused
from durable_fsm.cli import main
from durable_fsm.cli.errors import EXIT_CODES, as_shown
from durable_fsm.errors import DurableFSMError, Problem

GOLDEN = Path(__file__).parent / "errors.txt"
HERE = {"chart": "Order", "key": "o-17"}
CALLBACK = "callback 'approval'"

SAMPLES: tuple[DurableFSMError, ...] = (
    errors.DefinitionError(
        chart="Order",
        problems=[
            Problem("state 'paid' can never be left and is not final.", "Add a transition from it.", "order.py:12"),
            Problem("event 'pay' leads nowhere.", "Give it a target.", "order.py:15"),
        ],
    ),
    errors.NotDurable(
        chart="Order", problems=[Problem("on_enter_paid sleeps.", "Make it an activity, or a timer.", "order.py:20")]
    ),
    errors.MalformedInput(**HERE, handler="send", problem="it is no JSON."),
    errors.Forbidden(**HERE, event="expire"),
    errors.UnknownEvent(**HERE, event="payed", known=("cancel", "pay")),
    errors.EventRejected(**HERE, event="pay", configuration=("cart",), accepted=("checkout",)),
    errors.TooManyDeferred(**HERE, event="cancel", waiting=100),
    errors.TooManyWaiting(**HERE, waiting=1000),
    errors.TooLarge(**HERE, size=2_000_000, limit=1_000_000),
    errors.InvalidPayload(
        **HERE, subject="payload of 'pay'", expected="Payment", problem="expected int, got str", path="$.amount"
    ),
    errors.Undecodable(**HERE, source="record payments[0]@7", problem="it has no 'type'."),
    errors.BadSignature(**HERE, webhook="stripe", problem="its signature is older than 5 minutes."),
    errors.NotStarted(**HERE),
    errors.AlreadyStarted(**HERE, configuration=("cart",)),
    errors.Finished(**HERE, event="pay", configuration=("shipped",)),
    errors.Gone(**HERE),
    errors.NotRepairable(**HERE, problem="there is no failed activity 'charging'.", known=("refunding",)),
    errors.FlowStuck(**HERE, configuration=("held",)),
    errors.NotUndone(**HERE, done=("flight", "car"), ending=("paying",)),
    errors.WaitTimedOut(**HERE, condition="state 'paid'", after="1h"),
    errors.WaitInVain(**HERE, condition="state 'paid'", status="done", configuration=("expired",)),
    errors.NotRunning(**HERE, activity=None, running=("charging",)),
    errors.VersionError(**HERE, stored="3", served=("4", "5")),
    errors.MigrationError(**HERE, source="3", to="4", problem="state 'paid' has no place in it."),
    errors.SnapshotUnreadable(**HERE, problem="it is no JSON."),
    errors.SecretMissing(**HERE, webhook="stripe", variable="STRIPE_SECRET"),
    errors.ActionError(**HERE, event="pay", callback="on_pay (order.py:30)", problem="KeyError: 'total'."),
    errors.UnknownWork(**HERE, work="mial", known=("mail",)),
    errors.NoAnswer(
        **HERE,
        url="http://localhost:8080",
        attempts=3,
        waited=timedelta(minutes=1),
        problem="ConnectError (All connection attempts failed)",
    ),
    errors.UnexpectedAnswer(**HERE, status=401, text="who are you?"),
    errors.TerminalError("the card was declined", code=402),
    errors.CallbackTimeout(callback="approval", after=timedelta(hours=1)),
    errors.CallbackRejected(callback="approval", reason="too expensive"),
    errors.CallbackUnreadable(callback="approval", problem="it is no JSON."),
)


def tree(kind: type[DurableFSMError] = DurableFSMError) -> Iterator[type[DurableFSMError]]:
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield child
            yield from tree(child)


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
        "machine": "Order",
        "key": "o-17",
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
        (ZeroDivisionError("ours"), 70, "this is a mistake in durable-fsm, not yours. Please report it"),
        (KeyboardInterrupt(), 130, ""),
    ],
    ids=["refused", "unreachable", "bug", "ctrl-c"],
)
def test_what_no_machine_says_has_a_code_of_its_own(
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


def test_the_reference_lists_every_command_and_option() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")

    for name, command in commands():
        assert f"\n### `{name}`\n" in page
        section = page.split(f"\n### `{name}`\n")[1].split("\n## ")[0].split("\n### ")[0]
        flags = [flag for option in command.params if isinstance(option, click.Option) for flag in option.opts]
        settings = page.split("\n## Settings\n")[1].split("\n## ")[0]
        told = section + re.sub(r"(`--[\w-]+) \w+`", r"\1`", settings) if "--ingress" in flags else section
        assert [flag for flag in flags if f"`{flag}`" not in told and flag.startswith("--")] == [], name
    for code in EXIT_CODES:
        assert f"\n| {code} |" in page

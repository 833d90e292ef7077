"""`durable-fsm console`: where it listens, and when it refuses to."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.cli.console import chart_lines
from durable_fsm.console.operators import fits
from durable_fsm.console.reading import ServerReader

NOWHERE = ["--admin", "http://127.0.0.1:9", "--ingress", "http://127.0.0.1:9"]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--bind", "0.0.0.0:9480"], 2, "Name --operators FILE, or --behind-proxy HEADER"),
        (["--bind", "10.0.0.7:80"], 2, "it asks for no login"),
        (["--bind", "9480"], 2, "is not an address"),
        (["--bind", "localhost:99999"], 2, "is not an address"),
        (["--poll", "1ms"], 2, "between 50 ms and 1 min"),
        (["--poll", "often"], 2, "often"),
        (["--coverage", "nowhere.json"], 2, "nowhere.json"),
        (["--plan", "pyproject.toml"], 2, "is not a plan"),
        ([], 7, "cannot be reached"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_console_that_cannot_start_says_why(options: list[str], code: int, words: str) -> None:
    ran = CliRunner().invoke(main, ["console", *NOWHERE, *options])

    assert (ran.exit_code, words in ran.output) == (code, True), ran.output


class Told(ServerReader):
    """Knows its charts without a server."""

    def __init__(self, found: dict[str, dict[str, int]]) -> None:
        self.found = found

    def charts(self):  # type: ignore[no-untyped-def]
        return dict.fromkeys(self.found)

    def versions(self) -> dict[str, dict[str, int]]:
        return self.found


def test_the_charts_are_listed_with_their_machines_and_versions() -> None:
    found = {"Order": {"2": 9_001, "1": 1_000}, "Payment": {"1": 1}, "Cart": {}}

    assert chart_lines(Told(found)) == [
        "Order    10,001 machines   version 2 (9,001), 1 (1,000)",
        "Payment       1 machine    version 1",
        "Cart          0 machines",
    ]
    assert chart_lines(Told({})) == ["No chart is registered yet: durable-fsm register URL"]


def test_a_password_is_hashed_for_the_file_of_operators() -> None:
    hashed = CliRunner().invoke(main, ["hash-password"], input="the red door\nthe red door\n")
    short = CliRunner().invoke(main, ["hash-password", "--password", "short"])

    (line,) = (line for line in hashed.stdout.splitlines() if line.startswith("password"))
    assert fits("the red door", line.removeprefix('password = "').removesuffix('"'))
    assert (short.exit_code, "at least 8 characters" in short.output) == (2, True)


def test_operators_need_a_file_that_can_be_read_and_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "operators.toml"
    file.write_text('[[operator]]\nname = "ann"\nroles = ["rule"]\n')
    command = ["console", "--ingress", "http://127.0.0.1:1", "--admin", "http://127.0.0.1:1", "--operators", str(file)]
    monkeypatch.delenv("DURABLE_FSM_OPERATOR_SECRETS", raising=False)

    strange = CliRunner().invoke(main, command)
    file.write_text('[[operator]]\nname = "ann"\n')
    without = CliRunner().invoke(main, command)

    assert (strange.exit_code, "Invalid enum value 'rule'" in strange.output) == (2, True)
    assert (without.exit_code, "DURABLE_FSM_OPERATOR_SECRETS" in without.output) == (2, True)

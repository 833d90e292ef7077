"""Where commands find their servers: flags, then the environment, then pyproject.toml, then defaults."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli.output import json_option, show
from durable_fsm.cli.settings import Connection, connected

TABLE = '[tool.durable_fsm]\ningress = "http://project:1"\ntoken = "project"\nca = "certs/ca.pem"\n'


@click.command()
@connected
@json_option
def probe(connection: Connection, *, as_json: bool) -> None:
    """Print the connection."""
    show({name: getattr(connection, name) for name in Connection.__slots__}, as_json)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory two levels below a pyproject.toml."""
    (tmp_path / "pyproject.toml").write_text(TABLE)
    deep = tmp_path / "shop" / "orders"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    return tmp_path


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(probe, arguments, env=environment)


def test_flags_win_over_the_environment_over_the_project_over_defaults(folder: Path) -> None:
    result = run("--json", "--ingress", "http://flag:1/", DURABLE_FSM_INGRESS="http://env:1", DURABLE_FSM_TOKEN="env")

    assert json.loads(result.stdout) == {
        "ingress": "http://flag:1",
        "admin": "http://localhost:9070",
        "token": "env",
        "ca": str(folder / "certs/ca.pem"),
        "insecure": False,
    }


def test_people_read_one_setting_a_line(folder: Path) -> None:
    assert run().stdout.splitlines()[0].split() == ["ingress", "http://project:1"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "pyproject.toml cannot be read: "),
        (
            "[tool.durable_fsm]\ningres = 'x'",
            "[tool.durable_fsm] has an unknown entry 'ingres'. Known: admin, app, ca, diagrams,",
        ),
        ("[tool.durable_fsm]\ninsecure = 'no'", "'insecure' of [tool.durable_fsm] must be true or false, not 'no'."),
        ("[tool.durable_fsm]\ntoken = 5", "'token' of [tool.durable_fsm] must be a string, not 5."),
        (
            "[tool.durable_fsm]\nadmin = 'localhost'",
            "'localhost' is not an address for --admin. Write it as in http://",
        ),
    ],
)
def test_an_invalid_setting_is_refused_before_the_command_runs(folder: Path, text: str, problem: str) -> None:
    (folder / "pyproject.toml").write_text(text)

    result = run()

    assert result.exit_code == 2
    assert problem in result.stderr


def test_authorities_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")

    with pytest.raises(click.UsageError, match="contains no readable certificates"):
        _ = Connection(ca=tmp_path / "ca.pem").verify


def test_a_token_is_sent_as_bearer_token() -> None:
    with Connection(token="secret").http() as http:
        assert http.headers["authorization"] == "Bearer secret"

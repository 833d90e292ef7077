"""Where commands find their servers: flags, then the environment, then pyproject.toml, then defaults."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli.dev_folder import DevFolder
from durable_fsm.cli.errors import CommandError
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
        "operator": None,
    }


@contextmanager
def dev_ran(folder: Path, *, runs: bool, port: int = 17_001) -> Iterator[None]:
    """Leave what a run of dev leaves in a directory; it runs while the block lasts, or ended before."""
    dev = DevFolder(folder)
    with dev.locked():
        dev.remember(ingress=f"http://127.0.0.1:{port}", admin=f"http://127.0.0.1:{port + 1}")
        if runs:
            yield
    if not runs:
        yield


def test_the_lock_of_dev_names_its_process(folder: Path) -> None:
    with dev_ran(folder, runs=True):
        assert (folder / ".durable_fsm" / "dev.lock").read_text() == f"{os.getpid()}\n"


def test_commands_follow_dev_to_the_ports_that_it_uses_here(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("")
    with dev_ran(folder, runs=True):
        result = run("--json")
        named = run("--ingress", "http://localhost:17001")

    assert json.loads(result.stdout)["ingress"] == "http://127.0.0.1:17001"
    assert json.loads(result.stdout)["admin"] == "http://127.0.0.1:17002"
    assert result.stderr == named.stderr == ""  # it is the server that this directory started
    assert "http://127.0.0.1:17002" in named.stdout


def test_without_dev_no_other_server_is_called_by_accident(folder: Path) -> None:
    (folder / "pyproject.toml").write_text("")
    with dev_ran(folder, runs=False):
        result = run()
        named = run("--admin", "http://other:1")

    assert result.exit_code == 7
    assert result.stderr == (
        f"Error: durable-fsm dev does not run in {folder}. Start it there, or name another server with --ingress and"
        " --admin.\n"
    )
    assert named.stderr == "Server: ingress http://localhost:8080 (default), admin http://other:1 (--admin)\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        ((), {}, "Server: ingress http://project:1 (pyproject.toml), admin http://localhost:9070 (default)"),
        (
            ("--ingress", "http://flag:1"),
            {"DURABLE_FSM_ADMIN": "http://env:1"},
            "Server: ingress http://flag:1 (--ingress), admin http://env:1 (DURABLE_FSM_ADMIN)",
        ),
    ],
)
def test_a_server_that_this_directory_did_not_start_is_named(
    folder: Path, arguments: tuple[str, ...], environment: dict[str, str], told: str
) -> None:
    alone = run(*arguments, **environment)
    with dev_ran(folder, runs=True):
        beside = run(*arguments, **environment)
        silent = run(*arguments, "--json", **environment)

    assert alone.stderr == f"{told}\n"
    assert beside.stderr == f"{told}; durable-fsm dev runs http://127.0.0.1:17001 here\n"
    assert silent.stderr == ""


def test_dev_of_a_directory_above_the_project_is_not_this_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text("")
    monkeypatch.chdir(inner)
    with dev_ran(tmp_path, runs=True):
        result = run()

    assert result.stderr == "Server: ingress http://localhost:8080 (default), admin http://localhost:9070 (default)\n"


def test_a_look_whether_dev_runs_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    dev = DevFolder(tmp_path)
    assert not dev.is_running
    with dev.locked():
        assert dev.is_running
        with pytest.raises(CommandError, match=r"runs in .* already"), DevFolder(tmp_path).locked():
            pass
    assert not dev.is_running


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / ".durable_fsm").write_text("a file")

    with pytest.raises(CommandError, match=r"'.*\.durable_fsm' cannot be written: File exists\. durable-fsm dev"):
        DevFolder(tmp_path).remember(pid=1)


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

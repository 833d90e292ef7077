"""`durable-fsm new`: names, ports, and a project that can be installed."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from durable_fsm.cli import main, ports
from durable_fsm.cli.dev_folder import DevFolder
from durable_fsm.cli.project import TEMPLATES


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("durable_fsm.cli.new._drawn", lambda *_: [])  # drawing is tested with the first ten minutes


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["new", *arguments])


@pytest.mark.parametrize(
    ("given", "module", "chart"),
    [
        ("insurance-claim", "insurance_claim", "InsuranceClaim"),
        ("Insurance Claim", "insurance_claim", "InsuranceClaim"),
        ("2nd", "my_2nd", "My2nd"),
        ("class", "my_class", "MyClass"),
        ("state", "my_state", "MyState"),
        ("_x", "x", "X"),
        ("Übung", "ubung", "Ubung"),
    ],
)
def test_a_name_that_is_not_one_becomes_one(tmp_path: Path, given: str, module: str, chart: str) -> None:
    result = new(given)

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"'{given}' cannot name a class and a module: it is {chart} and {module} here.\n")
    assert f"class {chart}(StateChart" in (tmp_path / module / "machine.py").read_text("utf-8")
    assert f"durable-fsm send {chart}/one request" in (tmp_path / module / "README.md").read_text("utf-8")


@pytest.mark.parametrize("given", ["-", "a/b", "漢"])
def test_a_name_of_which_none_can_be_made_is_refused(tmp_path: Path, given: str) -> None:
    result = new("--", given)

    assert result.exit_code == 2
    assert "durable-fsm new" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_readme_names_the_ports_that_dev_will_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setitem(ports.USUAL, "ingress", taken.getsockname()[1])
        assert new("ticket").exit_code == 0
        chosen = DevFolder(tmp_path / "ticket").remembered()["ports"]
        again = ports.chosen("ingress", chosen["ingress"])

    readme = (tmp_path / "ticket" / "README.md").read_text("utf-8")
    assert again == chosen["ingress"] != ports.USUAL["ingress"]
    assert readme.count(f"http://127.0.0.1:{chosen['ingress']}") == 2
    assert f"- admin: http://127.0.0.1:{chosen['admin']}/ui/" in readme


def test_dev_keeps_the_readme_up_to_date_and_touches_nothing_else(tmp_path: Path) -> None:
    assert new("ticket").exit_code == 0
    readme = tmp_path / "ticket" / "README.md"
    mine = "\nMine: http://127.0.0.1:8080\n"
    readme.write_text(readme.read_text("utf-8") + mine, "utf-8")

    changed = ports.tell_readme(readme.parent, {"ingress": 1, "admin": 2, "service": 3})

    text = readme.read_text("utf-8")
    assert changed
    assert "- ingress: http://127.0.0.1:1 accepts events, as in `curl http://127.0.0.1:1/Ticket/one/snapshot`" in text
    assert "- admin: http://127.0.0.1:2/ui/" in text
    assert "- service: http://127.0.0.1:3 " in text
    assert text.endswith(mine)
    assert not ports.tell_readme(readme.parent, {"ingress": 1, "admin": 2, "service": 3})
    assert not ports.tell_readme(tmp_path, {"ingress": 1, "admin": 2, "service": 3})


def test_the_project_can_be_installed(tmp_path: Path) -> None:
    assert new("insurance-claim").exit_code == 0

    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "."]
    built = subprocess.run(
        command, cwd=tmp_path / "insurance_claim", capture_output=True, text=True, timeout=120, check=False
    )

    assert built.returncode == 0, built.stderr
    [wheel] = (tmp_path / "insurance_claim").glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        assert {name for name in content.namelist() if "/" not in name} == {"machine.py", "service.py"}


def test_a_template_that_does_not_exist_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    result = new("order", "--template", "htp1")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith("'. Did you mean 'http1'?")
    assert list(tmp_path.iterdir()) == []


def test_the_help_says_where_each_template_runs() -> None:
    shown = new("--help").stdout

    assert [name for name, template in TEMPLATES.items() if f"{name:12}  {template.purpose}\n" not in shown] == []


@pytest.mark.parametrize(
    ("template", "flavour"),
    [
        pytest.param(name, flavour, id=f"{name}-{flavour}")
        for name, template in TEMPLATES.items()
        for flavour in template.flavours
    ],
)
def test_a_template_fills_all_its_files_and_overwrites_none(tmp_path: Path, template: str, flavour: str) -> None:
    arguments = ("boat-trip", "here", "--template", template, "--flavour", flavour)

    result, again = new(*arguments), new(*arguments)

    assert result.exit_code == 0, result.output
    files = {path: path.read_text("utf-8") for path in (tmp_path / "here").rglob("*") if path.is_file()}
    assert (tmp_path / "here" / ".gitignore") in files
    assert "BoatTrip" in files[tmp_path / "here" / TEMPLATES[template].chart]
    assert [path.name for path, text in files.items() if re.search(r"\{\{[\w-]+\}\}", text)] == []
    assert again.exit_code == 2
    assert "nothing is overwritten" in again.stderr


def test_without_the_extra_for_diagrams_it_says_how_to_draw_the_chart() -> None:
    project, script = new("order"), new("trip", "--template", "single-file")

    drawn = "No diagram was drawn: pip install 'durable-fsm[diagrams]', then durable-fsm diagram"
    assert f"{drawn}.\n" in project.stdout
    assert f"{drawn} app.py:Trip -o app.svg.\n" in script.stdout


def test_a_template_in_another_library_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = replace(TEMPLATES["http1"], flavours=("python-statemachine",))
    monkeypatch.setattr("durable_fsm.cli.project.TEMPLATES", {"http1": narrow})

    result = new("order", "--template", "http1", "--flavour", "transitions")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(
        "Error: The template 'http1' is not written with transitions, but with 'python-statemachine'."
    )
    assert list(tmp_path.iterdir()) == []

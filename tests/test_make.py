"""The verbs of the Makefile do what their help says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.test_installed import wheel_only

ROOT = Path(__file__).parents[1]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make as a person would who has no settings; the suite may have been started by make itself."""
    settings = ("MAKE", "MFLAGS", "MATCH", "ONLY", "PYTEST", "SCALE", "COVERAGE", "PYTHONPATH")
    env = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return subprocess.run(["make", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


def plan(*words: str) -> str:
    """List the commands that make would run for *words*."""
    told = make("--dry-run", *words)
    assert told.returncode == 0, told.stderr
    return told.stdout.replace("\\\n", "")


def pytest_of(commands: str) -> str:
    [command] = [line for line in commands.splitlines() if "-m pytest" in line]
    return " ".join(command.split())


WHOLE = ("ruff check", "lint-imports", "pyright", "mypy", "mkdocs build", "coverage report")


def test_make_test_runs_every_check_and_every_test_on_the_wheel() -> None:
    commands = plan("test")

    assert [name for name in WHOLE if name not in commands] == []
    assert "-m tests.installed build/wheel" in commands
    assert "build/wheel/bin/python -m coverage run -m pytest -n 4" in pytest_of(commands)
    assert "durable_fsm.local.native" in commands
    assert "--fail-under=100" in commands


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["ONLY=tests/server"], "tests/server"),
        (["ONLY=tests/core tests/test_make.py::test_x[a]"], "tests/core tests/test_make.py::test_x[a]"),
        (["MATCH=timer and not kill"], "-k 'timer and not kill'"),
        (["MATCH=timer", "ONLY=tests/server"], "-k 'timer' tests/server"),
    ],
    ids=" ".join,
)
def test_make_test_runs_a_part_with_what_it_needs_and_without_the_gates_of_the_whole(
    words: list[str], chosen: str
) -> None:
    commands = plan("test", *words)

    assert [name for name in WHOLE if name in commands] == []
    assert "-m tests.installed build/wheel" in commands
    assert "durable_fsm.local.native" in commands
    assert pytest_of(commands).startswith("set -o pipefail; set -f; build/wheel/bin/python -m pytest -n 4")
    assert pytest_of(commands).endswith(f"{chosen} 2>&1 | tee -i build/pytest.log")


def test_every_test_understands_the_scale_of_make_check_which_is_below_one() -> None:
    read = 'environ.get("' + 'SCALE"'
    sources = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "machines").rglob("test_*.py")]

    assert [path.name for path in sources if read in path.read_text("utf-8")] == ["scaling.py"]


def test_make_check_tests_the_sources_without_the_server() -> None:
    commands = plan("check")

    assert "tests.installed" not in commands
    assert ".venv/bin/python -m pytest -n 2" in pytest_of(commands)
    assert "not server" in pytest_of(commands)


@wheel_only
def test_a_part_runs_and_says_what_it_did(tmp_path: Path) -> None:
    told = make("test", f"BUILD={tmp_path}", "PROCESSES=1", "ONLY=tests/test_installed.py", "MATCH=imports")

    assert told.returncode == 0, told.stdout + told.stderr
    first = next(line for line in told.stdout.splitlines() if line)
    assert first.startswith("── The tests chosen by ONLY='tests/test_installed.py' MATCH='imports', run on the wheel")
    assert re.search(r"\b5 passed in ", told.stdout.splitlines()[-1])
    assert (tmp_path / "wheel" / "bin" / "python").exists()


def test_make_test_says_how_long_it_took_the_last_time_and_before_that_how_long_it_takes(tmp_path: Path) -> None:
    first = make("announced", f"BUILD={tmp_path}").stdout
    (tmp_path / "took-1").write_text("572\n")
    second = make("announced", f"BUILD={tmp_path}").stdout
    other = make("announced", f"BUILD={tmp_path}", "SCALE=10").stdout

    assert "It takes about ten minutes on two cores.\n" in first
    assert "The last time that all of it passed here, it took 9 min 32 s.\n" in second
    assert "It takes about ten minutes on two cores at SCALE=1; longer at SCALE=10.\n" in other

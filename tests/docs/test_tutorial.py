"""The tutorial, as a reader follows it: write its files, run its commands, compare the output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from durable_fsm.testing import free_port, wait_until
from tests.processes import processes_in

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
PATIENCE = timedelta(seconds=60)
OTHER_TERMINAL = "first terminal"


@dataclass
class Reader:
    """A reader with a directory and two terminals."""

    place: Path
    ports: dict[str, int] = field(
        default_factory=lambda: {name: free_port() for name in ("ingress", "admin", "service")}
    )
    dev: subprocess.Popen[bytes] | None = None
    begun: int = 0

    @property
    def env(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
        return clean | {
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "no_proxy": "*",
        }

    @property
    def screen(self) -> Path:
        return self.place.parent / f"screen-{self.begun}"

    def type(self, command: str) -> str:
        """A command in the second terminal; what it prints."""
        command = command.replace("localhost:8080", f"localhost:{self.ports['ingress']}")
        ran = subprocess.run(
            command, shell=True, cwd=self.place, env=self.env, capture_output=True, text=True, check=False, timeout=300
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}{ran.stderr}"
        return ran.stdout + ran.stderr

    def begin(self, command: str) -> None:
        """The command that the first terminal runs from now on."""
        assert command == "durable-fsm dev"
        if self.dev is not None:
            self.dev.wait()
        wait_until(lambda: not processes_in(self.place), PATIENCE, "the end of what ran here before")
        flags = [f"--{name}-port={port}" for name, port in self.ports.items()]
        self.begun += 1
        with self.screen.open("wb") as screen:
            self.dev = subprocess.Popen(
                [sys.executable, "-m", "durable_fsm.cli", "dev", *flags],
                cwd=self.place,
                env=self.env | {"PYTHONUNBUFFERED": "1"},
                stdout=screen,
                stderr=subprocess.STDOUT,
            )

    def sees(self, line: str) -> None:
        """Wait for a line in the first terminal."""
        wanted = re.compile(pattern(line))
        wait_until(lambda: wanted.search(self.screen.read_text()), PATIENCE, f"{line!r} in {self.screen.read_text()!r}")

    def end(self) -> None:
        if self.dev is not None:
            self.dev.kill()
            self.dev.wait()
            wait_until(lambda: not processes_in(self.place), PATIENCE, "the end of everything")


def pattern(line: str) -> str:
    """The pattern of a line of output; blanks may be wider."""
    return r"\s+".join(map(re.escape, line.split()))


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    place = tmp_path / "locker"
    place.mkdir()
    reader = Reader(place)
    yield reader
    reader.end()


def test_the_commands_of_the_tutorial_print_what_it_shows(reader: Reader) -> None:
    done = 0
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        language, title, text = block["language"], block["title"], block["text"]
        match language:
            case "python":
                (reader.place / title).write_text(text, "utf-8")
            case "text":
                assert title == OTHER_TERMINAL
                for line in text.splitlines():
                    reader.sees(line)
            case "console":
                for command, expected in commands_of(text):
                    if title == OTHER_TERMINAL:
                        reader.begin(command)
                        for line in expected:
                            reader.sees(line)
                    else:
                        printed = reader.type(command)
                        for line in expected:
                            assert re.search(pattern(line), printed), f"{command}: {line!r} is not in {printed!r}"
                    done += 1
            case _:
                assert language == "sh", f"nobody runs {language}"

    assert done >= 20
    svg = (reader.place / "locker.svg").read_text()
    assert svg.startswith("<svg")
    assert "Overdue" in svg


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a console, with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def test_the_picture_of_the_tutorial_is_up_to_date(tmp_path: Path) -> None:
    blocks = [block for block in BLOCK.finditer(PAGE.read_text("utf-8")) if block["title"] == "locker.py"]
    (tmp_path / "locker.py").write_text(blocks[-1]["text"], "utf-8")
    command = [
        sys.executable,
        "-m",
        "durable_fsm.cli",
        "diagram",
        str(tmp_path / "locker.py:Locker"),
        "--theme",
        "auto",
    ]
    drawn = ROOT / "docs" / "pictures" / "locker.svg"

    checked = subprocess.run(
        [*command, "-o", str(drawn), "--check"], capture_output=True, text=True, check=False, timeout=300
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr

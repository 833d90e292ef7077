"""A reader who follows a page: a directory, some terminals, and the commands and outputs of the page's blocks."""

from __future__ import annotations

import multiprocessing
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from durable_fsm.testing import free_port, wait_until
from tests.plugins import WITHOUT
from tests.processes import processes_in

BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)
PATIENCE = timedelta(seconds=60)
FIRST = "first terminal"
USUAL = {"ingress": 8080, "admin": 9070, "service": 9080}
"""The ports that a page names, and those that every reader of a test has instead."""

VARYING = {
    "<link>": re.compile(r"http://127\.0\.0\.1:\d+/enter\?token=[\w-]+"),
    "<instant>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"),
    "<time>": re.compile(r"\b\d\d:\d\d:\d\d\b"),
    "in <duration>": re.compile(r"\bin \d+(\.\d+)? ?m?s\b"),
    "Restate <version>": re.compile(r"\bRestate \d+\.\d+\.\d+"),
}
"""Parts of outputs that differ in every run."""

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(
    [
        "durable_fsm.cli.machines",
        "durable_fsm.cli.acting",
        "durable_fsm.cli.sending",
        "durable_fsm.cli.survey",
        "durable_fsm.cli.diagram",
    ]
)
_SHELL = re.compile(r"[$|<>&;`(]")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and where its text begins."""

    language: str
    title: str
    text: str
    start: int


@dataclass
class Reader:
    """A reader with a directory and any number of terminals; `durable-fsm dev` runs in the first one."""

    place: Path
    ports: dict[int, int] = field(default_factory=lambda: {usual: free_port() for usual in USUAL.values()})
    dev: subprocess.Popen[bytes] | None = None
    begun: int = 0

    @property
    def env(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
        return clean | {
            "PYTEST_ADDOPTS": " ".join(WITHOUT),
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "no_proxy": "*",
        }

    @property
    def screen(self) -> Path:
        """What the first terminal shows."""
        return self.place.parent / f"screen-{self.begun}"

    def type(self, command: str) -> str:
        """A command in the second terminal; what it prints."""
        command = here(command, self.ports)
        words = [] if _SHELL.search(command) else shlex.split(command)
        if words[:1] == ["durable-fsm"]:
            code, printed = forked(words[1:], self.place, self.env)
        else:
            ran = subprocess.run(
                command,
                shell=True,
                cwd=self.place,
                env=self.env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=PATIENCE.total_seconds(),
            )
            code, printed = ran.returncode, ran.stdout
        assert code in (0, *refusals(command)), f"{command}\n{printed}"
        if command.startswith("kill "):  # a person would not be faster than the end of all processes
            self.wait_end()
        return printed

    def wait_end(self) -> None:
        """Wait until nothing runs in this directory any more."""
        wait_until(lambda: not processes_in(self.place), PATIENCE, "the end of what ran here")

    def begin(self, command: str) -> None:
        """The command that the first terminal runs from now on."""
        assert command == "durable-fsm dev"
        if self.dev is not None:
            self.dev.wait()
        self.wait_end()
        flags = [f"--{name}-port={self.ports[usual]}" for name, usual in USUAL.items()]
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
        wanted = plain(here(line, self.ports))
        wait_until(
            lambda: wanted in plain(self.screen.read_text()), PATIENCE, f"{line!r} in {self.screen.read_text()!r}"
        )

    def shown(self, text: str) -> list[str]:
        """The lines of an output on a page as this reader gets them, see `plain`."""
        return plain(here(text, self.ports)).splitlines()

    def end(self) -> None:
        if self.dev is not None:
            self.dev.kill()
            self.dev.wait()
            self.wait_end()


def refusals(command: str) -> tuple[int, ...]:
    """The exit codes, beside 0, of a command that may be refused: the page shows the refusal."""
    return (1, 4, 5) if command.startswith("durable-fsm ") else ()


def here(text: str, ports: Mapping[int, int]) -> str:
    """A text of a page with the ports of this test."""
    for usual, port in ports.items():
        text = re.sub(rf"\b{usual}\b", str(port), text)
    return text


def plain(text: str) -> str:
    """A text without what differs in every run: times, durations, the version of Restate; blanks and empty lines."""
    for name, varying in VARYING.items():
        text = varying.sub(name, text)
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def pattern(line: str) -> str:
    """The pattern of a line of output; blanks may be wider."""
    return r"\s+".join(map(re.escape, line.split()))


# ── blocks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def blocks_of(page: str) -> Iterator[Block]:
    """The blocks of a page that name a language."""
    for found in BLOCK.finditer(page):
        yield Block(found["language"], found["title"] or "", found["text"], found.start("text"))


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a console, with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
    return [(command, "\n".join(lines).rstrip().splitlines()) for command, lines in found]


# ── durable-fsm, without a new interpreter for each command ───────────────────────────────────────────────────────────


def forked(arguments: list[str], place: Path, env: Mapping[str, str]) -> tuple[int, str]:
    """Run `durable-fsm` in a fork of a process that has imported it; its exit code, and all that it prints."""
    with tempfile.NamedTemporaryFile() as output:
        process = _FORKING.Process(target=_become, args=(arguments, str(place), dict(env), output.name))
        process.start()
        process.join(PATIENCE.total_seconds())
        code = process.exitcode
        process.kill()
        process.join()
        printed = Path(output.name).read_text("utf-8")
        assert code is not None, f"durable-fsm {shlex.join(arguments)} does not end: {printed}"
        return code, printed


def _become(arguments: list[str], place: str, env: dict[str, str], output: str) -> None:
    os.chdir(place)
    os.environ.clear()
    os.environ.update(env)
    file = Path(output).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 - it lives as long as this process
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    sys.stdout = sys.stderr = file

    from durable_fsm.cli import main

    main(arguments, prog_name="durable-fsm")

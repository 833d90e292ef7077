"""What a newcomer does, in a terminal: begin a machine, test it, run it, send to it, change it, stop."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.local.process import port_answers
from durable_fsm.testing import wait_until
from tests.cli.terminal import PROGRAM, SERVING, Terminal
from tests.plugins import WITHOUT
from tests.processes import processes_in
from tests.web import web

pytestmark = pytest.mark.server

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def ticket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `durable-fsm new` writes, called as in the README."""
    folder = tmp_path_factory.mktemp("empty")
    [line] = [line for line in of_readme("sh").splitlines() if line.startswith("durable-fsm new ")]
    began = run(*shlex.split(line.partition(" && ")[0])[1:], cwd=folder)
    assert began.returncode == 0, began.stderr
    return folder / "ticket"


@pytest.fixture
def terminal(ticket: Path) -> Iterator[Terminal]:
    terminal = Terminal(ticket)
    yield terminal
    terminal.close()


def of_readme(language: str) -> str:
    """The only block of the README in this language."""
    [block] = re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(block)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def post(url: str, body: object = None) -> Any:
    return web.post(url, json=body).raise_for_status().json()


def first_event_of_readme(url: str) -> Any:
    """Run the README's curl command on this server, for a machine of another key; the answer with the README's key."""
    [line] = [line for line in of_readme("sh").splitlines() if line.startswith("curl ")]
    command = line.replace("http://127.0.0.1:8080", url).replace("Ticket/one", "Ticket/readme")
    argv = [*shlex.split(command, comments=True), "-sS", "--noproxy", "*"]
    answer = subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout
    return {**json.loads(answer), "key": "one"}


def nothing_is_left(terminal: Terminal, folder: Path) -> bool:
    return not processes_in(folder) and not any(map(port_answers, terminal.ports.values()))


def test_the_first_ten_minutes(ticket: Path, terminal: Terminal) -> None:
    story = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *WITHOUT],
        cwd=ticket,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))},
    )
    assert "3 passed" in story.stdout, story.stdout + story.stderr
    assert (ticket / "machine.svg").read_text().startswith("<svg")

    screen = terminal.sees(SERVING)
    assert f"curl {terminal.url}/Ticket/one/request --json '{{\"seats\": 1}}'" in screen
    assert screen.index("/request ") < screen.index("/confirm ")

    assert f"curl {terminal.url}/Ticket/one/snapshot" in (ticket / "README.md").read_text()
    assert "Invalid HTTP request" not in (ticket / ".durable_fsm" / "service.log").read_text()
    assert first_event_of_readme(terminal.url) == json.loads(of_readme("json"))
    sent = run("send", "Ticket/one", "request", '{"seats": 2}', "--json", cwd=ticket)
    assert json.loads(sent.stdout)["configuration"] == ["searching"], sent.stderr
    terminal.sees("Ticket/one: 'done.invoke.searching': searching → held")
    shown = run("show", "Ticket/one", cwd=ticket)
    assert shown.stderr == ""
    assert ["states", "held"] in [line.split() for line in shown.stdout.splitlines()]

    second = run("dev", cwd=ticket)
    assert second.returncode == 7
    assert f"runs in {ticket} already as process {terminal.child.pid}: ingress {terminal.url}" in second.stderr

    machine = ticket / "machine.py"
    good = machine.read_text()
    machine.write_text(good + "\nbroken = (\n")
    terminal.sees("SyntaxError: '(' was never closed (machine.py")
    terminal.sees("The previous version is still served")
    assert post(f"{terminal.url}/Ticket/one/snapshot")["configuration"] == ["held"]

    machine.write_text(good.replace("    held = State()", "    held = State()\n    given_back = State(final=True)").replace(
        "    confirm =", "    give_back = held.to(given_back)\n    confirm ="
    ))  # fmt: skip
    terminal.sees("Reloaded: Ticket (6 states, 3 events).")
    assert post(f"{terminal.url}/Ticket/one/give_back")["configuration"] == ["given_back"]
    watched = run("watch", "Ticket/one", cwd=ticket)
    assert watched.stdout == "Ticket/one is done in given_back\n"

    terminal.child.sendintr()
    assert terminal.ends() == 130
    assert "SIGTERM" not in (ticket / ".durable_fsm" / "service.log").read_text()
    assert nothing_is_left(terminal, ticket)
    machine.write_text(good)


@pytest.mark.parametrize(
    ("moment", "number", "code"),
    [
        ("Starting Restate", signal.SIGHUP, 129),
        ("Starting service:app", signal.SIGTERM, 143),
        ("Starting Restate", signal.SIGKILL, -9),
    ],
    ids=["server-hup", "service-term", "server-kill"],
)
def test_whenever_dev_is_ended_nothing_of_it_is_left(
    ticket: Path, terminal: Terminal, moment: str, number: signal.Signals, code: int
) -> None:
    terminal.sees(moment)
    terminal.child.kill(number)

    assert terminal.ends() == code
    wait_until(lambda: nothing_is_left(terminal, ticket), what="the end of all processes")


def test_machines_outlive_a_kill_of_dev_and_another_address(ticket: Path, terminal: Terminal) -> None:
    terminal.sees(SERVING)
    post(f"{terminal.url}/Ticket/kept/request", {"seats": 3})
    terminal.sees("Ticket/kept: 'done.invoke.searching': searching → held")

    terminal.child.kill(signal.SIGKILL)
    assert terminal.ends() == -signal.SIGKILL
    wait_until(lambda: nothing_is_left(terminal, ticket), what="the end of all processes")
    again = Terminal(ticket)
    try:
        again.sees(SERVING)
        assert post(f"{again.url}/Ticket/kept/confirm")["configuration"] == ["confirmed"]

        admin = f"http://127.0.0.1:{again.ports['admin']}"
        known = run("register", f"http://127.0.0.1:{again.ports['service']}", "--admin", admin, "--json", cwd=ticket)
        refused = run("register", "http://127.0.0.1:1", "--admin", admin, cwd=ticket)
    finally:
        again.close()
    assert "Ticket" in json.loads(known.stdout)["services"], known.stderr
    assert refused.returncode == 7
    assert "Restate cannot talk to http://127.0.0.1:1. Is the service running" in refused.stderr
    wait_until(lambda: nothing_is_left(again, ticket), what="the end of all processes")


def test_new_overwrites_nothing(ticket: Path) -> None:
    before = (ticket / "machine.py").read_text()

    refused = run("new", "ticket", cwd=ticket.parent)

    assert refused.returncode == 2
    assert "nothing is overwritten" in refused.stderr
    assert (ticket / "machine.py").read_text() == before

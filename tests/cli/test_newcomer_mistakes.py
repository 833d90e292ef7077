"""The first hour, with its mistakes: each is answered in at most six lines that name the place and the remedy.

`newcomer_mistakes.txt` holds every answer; `DURABLE_FSM_WRITE_GOLDEN=1 pytest tests/cli/test_newcomer_mistakes.py`
writes it again. Commands run in this process, `durable-fsm dev` in a pseudo-terminal.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from durable_fsm.cli import main
from durable_fsm.cli.errors import BUG
from durable_fsm.client import SyncClient
from durable_fsm.testing import free_port
from tests.cli.terminal import SERVING, Terminal
from tests.web import web

pytestmark = pytest.mark.server

GOLDEN = Path(__file__).parent / "newcomer_mistakes.txt"
MOST_LINES = 6

CHART = """from datetime import timedelta

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import Retry, activity, after, durable, event


class Data(BaseModel):
    seats: int = 0


async def book(data: Data) -> str:
    return "row 2"


class Trip(StateChart[Data]):
    wanted = State(initial=True)
    booking = State(invoke=activity(book))
    booked = State(final=True)
    late = State(final=True)

    ask = event(wanted.to(booking), int)
    done_invoke_booking = booking.to(booked)
    error_invoke_booking = booking.to(wanted)
    give_up = after(timedelta(hours=1), wanted.to(late))

    def on_ask(self, data: Data, payload: int) -> None:
        data.seats = payload
"""


@dataclass
class Mistake:
    """A command that a newcomer types, after changing the chart by `old` → `new`."""

    title: str
    command: str
    old: str = ""
    new: str = ""
    files: dict[str, str] = field(default_factory=dict[str, str])
    setup: Callable[[pytest.MonkeyPatch, Path], object] | None = None


def without_npm(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("PATH", str(folder))
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    patch.delenv("RESTATE_SERVER", raising=False)
    patch.setattr("durable_fsm.local.native.importlib.util.find_spec", lambda _name: None)


def with_unwritable_cache(patch: pytest.MonkeyPatch, folder: Path) -> None:
    patch.setenv("PATH", str(folder))
    patch.delenv("RESTATE_SERVER", raising=False)
    (folder / "cache").write_text("a file")
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def without(*modules: str) -> Callable[[pytest.MonkeyPatch, Path], None]:
    def setup(patch: pytest.MonkeyPatch, _folder: Path) -> None:
        for module in modules:
            patch.setitem(sys.modules, module, None)

    return setup


def without_granian(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    patch.setattr("durable_fsm.serving.servers.importlib.util.find_spec", lambda _name: None)


def with_nothing_there(patch: pytest.MonkeyPatch, _folder: Path) -> None:
    patch.setattr("durable_fsm.cli.machine_arg.PATIENCE", timedelta(milliseconds=200))
    nothing = f"http://127.0.0.1:{free_port()}"
    patch.setenv("DURABLE_FSM_INGRESS", nothing)
    patch.setenv("DURABLE_FSM_ADMIN", nothing)


def with_a_file_for_its_folder(_patch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / ".durable_fsm").write_text("a file")


def with_a_project(_patch: pytest.MonkeyPatch, folder: Path) -> None:
    assert CliRunner().invoke(main, ["new", "ticket", str(folder)]).exit_code == 0


CHECK = "check trip.py:Trip"
MISTAKES = [
    # what is missing on this computer
    Mistake("dev in an empty directory", "dev", files={"trip.py": ""}),
    Mistake("no npm", "dev trip.py:Trip", setup=without_npm),
    Mistake("a cache that cannot be written", "dev trip.py:Trip", setup=with_unwritable_cache),
    Mistake("a directory that cannot be written", "dev trip.py:Trip", setup=with_a_file_for_its_folder),
    Mistake("a port that is taken", "dev trip.py:Trip --ingress-port $TAKEN"),
    Mistake("an address that is taken", "serve trip.py:Trip --bind 127.0.0.1:$TAKEN"),
    Mistake("a server that is not installed", "serve trip.py:Trip --server granian", setup=without_granian),
    Mistake("no engine for diagrams", "diagram trip.py:Trip -o trip.svg", setup=without("graphviz", "pygraphviz", "ogdf_python")),
    Mistake("a library that is not installed", CHECK, "from pydantic", "import transitionz\nfrom pydantic"),
    Mistake("no server", "send Trip/one ask 2", setup=with_nothing_there),
    Mistake("no admin API", "list Trip", setup=with_nothing_there),
    Mistake("dev is not running", "show Ticket/one", setup=with_a_project),
    # targets
    Mistake("a misspelt module", "check tripp:Trip"),
    Mistake("a misspelt file", "check tripp.py:Trip"),
    Mistake("a misspelt chart", "check trip:Tirp"),
    Mistake("a module without a name", "dev trip"),
    Mistake("a file without a name", "check trip.py"),
    Mistake("the data type instead of the chart", "dev trip:Data"),
    Mistake("a function instead of the chart", "serve trip:book"),
    Mistake("two charts and no name", "dev", files={"other.py": CHART}),
    # Python
    Mistake("a syntax error", "dev trip:Trip", "wanted = State(initial=True)", "wanted = State(initial=True"),
    Mistake("a wrong indentation", CHECK, "    booked =", "      booked ="),
    Mistake("a circular import", "serve trip:Trip", "from pydantic", "from other import x\nfrom pydantic", files={"other.py": "from trip import Trip"}),
    Mistake("a misspelt name", CHECK, "activity(book)", "activity(bok)"),
    Mistake("a missing import", CHECK, "from datetime import timedelta", ""),
    Mistake("a program instead of a module", CHECK, "from pydantic", "raise SystemExit(2)\nfrom pydantic"),
    # the chart
    Mistake("after(15, …)", CHECK, "timedelta(hours=1)", "15"),
    Mistake("retry=5", CHECK, "activity(book)", "activity(book, retry=5)"),
    Mistake("an async action", CHECK, "    def on_ask", "    async def on_ask"),
    Mistake("a sleep in an action", CHECK, "        data.seats = payload", "        import time\n        time.sleep(5)"),
    Mistake("a clock in an action", CHECK, "        data.seats = payload", "        import time\n        data.seats = time.time()"),
    Mistake("a misspelt callback", CHECK, "def on_ask", "def on_aks"),
    Mistake("a misspelt guard", CHECK, "wanted.to(booking), int", 'wanted.to(booking, cond="is_fre"), int'),
    Mistake("a misspelt parameter", CHECK, "payload: int", "paylaod: int"),
    Mistake("a misspelt activity", CHECK, "done_invoke_booking", "done_invoke_bookin"),
    Mistake("a missing data type", CHECK, "StateChart[Data]", "StateChart"),
    Mistake("an attribute instead of data", CHECK, "        data.seats = payload", "        self.seats = payload"),
    Mistake("an event called delete", CHECK, "    ask =", "    delete ="),
    Mistake("an activity that is called", CHECK, "activity(book)", "activity(book(None))"),
    Mistake("a state that nothing leaves", CHECK, "    late = State(final=True)", "    late = State()"),
    Mistake("a target that does not exist", CHECK, "wanted.to(late)", "wanted.to(latte)"),
]  # fmt: skip

REQUESTS = [
    Mistake("a typo in the event", "send Ticket/one reqest"),
    Mistake("a missing payload", "send Ticket/two request"),
    Mistake("a wrong payload", 'send Ticket/two request \'{"seats": "many"}\''),
    Mistake("a misspelt member of a payload", "send Ticket/two request '{\"seat\": 1}'"),
    Mistake("a payload that is not JSON", "send Ticket/one request {seats:2}"),
    Mistake("an event that comes too early", "send Ticket/two confirm"),
    Mistake("an event that comes too late", "send Ticket/one confirm"),
    Mistake("a private event", "send Ticket/one expire"),
    Mistake("a misspelt chart", "send Tikcet/one request '{\"seats\": 1}'"),
    Mistake("a misspelt chart in a list", "list Tikcet"),
    Mistake("no key", "send Ticket request"),
    Mistake("a machine that was never started", "show Ticket/never"),
    Mistake("a misspelt command", "snd Ticket/one request"),
    Mistake("a misspelt option", "list Ticket --stat held"),
    Mistake("a duration in words", "wait Ticket/one --state held --timeout soon"),
    Mistake("a wait for nothing", "wait Ticket/one"),
    Mistake("a state that does not exist", "wait Ticket/one --state hold --timeout 1s"),
    Mistake(
        "the admin API for the ingress", "send Ticket/one request '{\"seats\": 1}' --ingress $ADMIN --admin $ADMIN"
    ),
    Mistake("the ingress for the admin API", "list Ticket --admin $INGRESS"),
    Mistake("an address without http", "list Ticket --admin localhost:9070"),
    Mistake("a service that is not running", "register http://127.0.0.1:1"),
    Mistake("no reason for a repair", "repair Ticket/one --move held"),
    Mistake("a file that is not there", "send Ticket/one request @seats.json"),
]


@contextmanager
def imports_forgotten() -> Iterator[None]:
    """Forget what was imported from the directory of a mistake: the next one has modules of the same names."""
    known, path = set(sys.modules), list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - known:
            if name in ("trip", "other", "service", "machine"):
                del sys.modules[name]


def answer(mistake: Mistake, folder: Path) -> str:
    """Run the command; return what it printed, with what differs from run to run replaced."""
    with imports_forgotten():
        words = shlex.split(re.sub(r"\$(\w+)", lambda name: os.environ[name[1]], mistake.command))
        result = CliRunner().invoke(main, words, prog_name="durable-fsm")
    assert result.exit_code != BUG, f"{mistake.title}: {result.output}"
    return f"{normalized(result.output, folder).rstrip()}\n[exit code {result.exit_code}]"


def normalized(shown: str, folder: Path) -> str:
    shown = shown.replace("\r\n", "\n")
    for name in ("ADMIN", "INGRESS"):
        if name in os.environ:
            shown = shown.replace(os.environ[name], f"http://{name}")
    shown = shown.replace(str(folder), "HERE").replace(str(Path.home()), "HOME")
    shown = re.sub(r"(127\.0\.0\.1|port|localhost:)( ?:?)\d{4,5}\b", r"\1\2PORT", shown)
    shown = re.sub(r"(?m)^Port (8080|9070|9080) is taken: .*\n", "", shown)  # by whoever uses this machine
    shown = re.sub(r"asked \d+ times within [\d.]+", "asked N times within N", shown)
    return re.sub(r" at 0x[0-9a-f]+", "", shown)


def without_usage(shown: str) -> list[str]:
    """The lines that say what is wrong: click puts the usage before them."""
    return [
        line for line in shown.splitlines() if line.strip() and not line.startswith(("Usage:", "Try '", "[exit code"))
    ]


def held(sections: list[tuple[str, str]], part: str) -> None:
    """Compare with one part of the golden file, or write it."""
    text = "".join(f"── {title}\n{shown.rstrip()}\n\n" for title, shown in sections)
    parts = (
        dict(re.findall(r"══ (.*?)\n\n(.*?)(?=══|\Z)", GOLDEN.read_text("utf-8"), re.DOTALL)) if GOLDEN.exists() else {}
    )
    if os.environ.get("DURABLE_FSM_WRITE_GOLDEN"):
        parts[part] = text
        GOLDEN.write_text("".join(f"══ {name}\n\n{found}" for name, found in sorted(parts.items())), "utf-8")
    assert text == parts.get(part)


@pytest.fixture
def _taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A port at which another process listens, as `TAKEN`."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("TAKEN", str(taken.getsockname()[1]))
        yield


@pytest.mark.usefixtures("_taken")
def test_every_mistake_before_a_server_runs_is_answered_shortly(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    sections: list[tuple[str, str]] = []
    for mistake in MISTAKES:
        folder = tmp_path_factory.mktemp("empty")
        assert mistake.old in CHART, mistake.title
        (folder / "trip.py").write_text(CHART.replace(mistake.old, mistake.new) if mistake.old else CHART)
        for name, text in mistake.files.items():
            (folder / name).write_text(text)
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            if mistake.setup is not None:
                mistake.setup(patch, folder)
            shown = answer(mistake, folder)
        sections.append((f"{mistake.title}: durable-fsm {mistake.command}", shown))

    held(sections, "before a server runs")
    assert [title for title, shown in sections if len(without_usage(shown)) > MOST_LINES] == []


def test_every_mistake_beside_dev_is_answered_shortly(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("ticket")
    with_a_project(monkeypatch, folder)
    monkeypatch.chdir(folder)
    terminal = Terminal(folder)
    try:
        screen = terminal.sees(SERVING)
        monkeypatch.setenv("INGRESS", terminal.url)
        monkeypatch.setenv("ADMIN", f"http://127.0.0.1:{terminal.ports['admin']}")
        every_line_does_what_it_says(screen)
        sections = [(f"{one.title}: durable-fsm {one.command}", answer(one, folder)) for one in REQUESTS]
        sections += [(title, normalized(shown, folder)) for title, shown in reloads(terminal, folder / "machine.py")]
    finally:
        terminal.close()

    held(sections, "beside dev")
    assert [title for title, shown in sections if len(without_usage(shown)) > MOST_LINES] == []


def every_line_does_what_it_says(screen: str) -> None:
    """Send what dev printed, in its order: the machine `one` takes all of it."""
    lines = [shlex.split(line.strip().partition("curl ")[2]) for line in screen.splitlines() if "curl " in line]
    assert [url.rpartition("/")[2] for url, *_ in lines] == ["request", "confirm"]
    for url, option, body in lines:
        client = SyncClient(url.partition("/Ticket")[0])
        if url.endswith("/confirm"):
            client.machine("Ticket", "one").wait_for(state="held", timeout=timedelta(seconds=30))
        assert web.post(url, json=json.loads(body) if option == "--json" else None).is_success
        client.close()


def reloads(terminal: Terminal, machine: Path) -> Iterator[tuple[str, str]]:
    """Save mistakes while dev runs; yield what it shows of each."""
    good = machine.read_text("utf-8")
    for title, old, new in (
        ("a syntax error is saved", "    held = State()", "    held = State("),
        ("a misspelt name is saved", "searching.to(held)", "searching.to(hold)"),
        ("a misspelt activity is saved", "done_invoke_searching = ", "done_invoke_serching = "),
    ):
        machine.write_text(good.replace(old, new), "utf-8")
        terminal.sees("Changed: machine.py")
        yield title, terminal.sees("save a file to try again.").strip() + " save a file to try again."
    machine.write_text(good, "utf-8")
    terminal.sees("Reloaded: Ticket")

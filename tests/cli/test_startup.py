"""A command imports only what it needs: a call of the command line should feel immediate.

Counted in modules, not in time, which depends on the machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from durable_fsm.cli import COMMANDS, main

PROGRAM = """
import json, sys
before = set(sys.modules)
from durable_fsm.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
finally:
    print(json.dumps(sorted(sys.modules.keys() - before)), file=sys.stderr)
"""

HOST = {"restate", "hypercorn", "uvicorn", "opentelemetry", "granian"}
FRONTENDS = {"statemachine", "transitions", "pydantic", "cronsim"}
DRAWING = {"graphviz", "resvg_py", "fontpkg_inter"}


def loaded_by(*arguments: str) -> tuple[set[str], int]:
    """The packages that a call of the command line imports, and how many modules of durable_fsm."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    modules: list[str] = json.loads(ran.stderr.splitlines()[-1])
    ours = [name for name in modules if name.startswith("durable_fsm")]
    return {name.partition(".")[0] for name in modules}, len(ours)


def test_help_imports_no_command() -> None:
    packages, ours = loaded_by("--help")

    assert not packages & (HOST | FRONTENDS | DRAWING | {"httpx", "rich"})
    assert ours < 25


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_help_of_all_commands_is_that_of_each(command: str) -> None:
    found = main.get_command(None, command)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

    assert found is not None
    assert found.get_short_help_str(200) == COMMANDS[command][1]


SHARED = ("ingress", "admin", "token", "ca", "insecure", "operator", "as_json", "trusted")
"""Options of many commands, in the order in which help shows them."""


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help_shows_the_options_of_a_command_before_those_that_many_have(command: str) -> None:
    found = main.get_command(click.Context(main), command)

    assert found is not None
    names = [option.name for option in found.params if isinstance(option, click.Option)]
    shared = [name for name in SHARED if name in names]
    assert names[len(names) - len(shared) :] == shared


class Absent(BaseHTTPRequestHandler):
    """An ingress whose machines do not exist."""

    def do_POST(self) -> None:
        """Answer as a machine does that was not created."""
        metadata = {"type": "NotStarted", "chart": "Order", "key": "o-17", "remedy": "Its first event starts it."}
        body = json.dumps({"message": "there is no such machine", "code": 404, "metadata": metadata}).encode()
        self.send_response(404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Be quiet."""


@pytest.fixture(scope="module")
def ingress() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Absent) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    "arguments",
    [
        ("send", "Order/o-17", "pay"),
        ("show", "Order/o-17"),
        ("events", "Order/o-17"),
        ("wait", "Order/o-17", "--state", "paid"),
        ("cancel", "Order/o-17"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_about_one_machine_imports_a_client_and_no_more(arguments: tuple[str, ...], ingress: str) -> None:
    packages, _ = loaded_by(*arguments, "--ingress", ingress, "--admin", "http://127.0.0.1:9")

    assert "httpx" in packages
    assert not packages & (HOST | FRONTENDS | DRAWING)


def test_a_check_imports_the_library_of_the_chart_and_no_client() -> None:
    packages, _ = loaded_by("check", "tests/cli/lamp.py:Lamp")

    assert "statemachine" in packages
    assert not packages & (HOST | DRAWING | {"httpx", "transitions"})


# ── what is installed ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_reason_for_each_dependency_is_on_the_page_about_deploying() -> None:
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (root / "docs" / "deploying.md").read_text(encoding="utf-8").partition("## Size of an installation")[2]

    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]
    names = sorted(name for row in rows for name in re.findall(r"`([^`]+)`", row))

    assert names == sorted(re.split(r"[\[>=<; ]", one)[0] for one in project["dependencies"])
    assert not any(
        "nodejs" in one for extra, named in project["optional-dependencies"].items() if extra != "node" for one in named
    )

"""The fixtures, as a project meets them that has durable_fsm installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from durable_fsm.testing import EffectLog, RestateServer
from durable_fsm.testing.plugin import Serve
from tests.plugins import WITHOUT

PLUGIN = "durable_fsm.testing.plugin"
APP = Path(__file__).parents[1] / "local" / "counter_app.py"


def test_importing_the_plugin_imports_neither_restate_nor_httpx() -> None:
    program = f"import sys, {PLUGIN}; print({{'restate', 'httpx', 'hypercorn'}} & set(sys.modules))"

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "set()"


@pytest.mark.server
@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_finds_empty_services_on_the_shared_server(
    restate_server: RestateServer, serve: Serve, turn: int
) -> None:
    serve("tests.local.counter_app:app")

    assert restate_server.call("Counter", "the same key", "add", turn, idempotency_key="the same") == turn


@pytest.mark.server
def test_services_find_the_effect_log_by_themselves(
    restate_server: RestateServer, serve: Serve, effects: EffectLog
) -> None:
    serve("tests.local.counter_app:app")

    restate_server.call("Shop", "o-1", "buy")

    assert effects.counts("charge") == {"o-1": 1}


@pytest.mark.server
def test_a_failing_test_shows_the_logs_and_leaves_nothing_running(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        """
        def test_that_fails(restate_server, serve):
            service = serve("counter_app:app")
            print("pids", *service.process.pids(), restate_server.process.pid)
            assert False
        """,
    )

    assert ran.returncode == 1
    assert "log of counter_app:app" in ran.stdout
    assert "Serving counter_app:app at http://127.0.0.1:" in ran.stdout
    pids = next(line for line in ran.stdout.splitlines() if line.startswith("pids")).split()[1:]
    assert len(pids) == 2
    assert [pid for pid in pids if Path("/proc", pid).exists()] == []


@pytest.mark.server
def test_a_shared_server_that_a_test_has_killed_is_back_and_empty_for_the_next(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        """
        def test_1_kills(restate_server, serve):
            serve("counter_app:app")
            restate_server.call("Counter", "one", "add", 1)
            restate_server.send("Counter", "one", "never")
            restate_server.kill()

        def test_2_goes_on(restate_server, serve):
            serve("counter_app:app")
            assert restate_server.call("Counter", "one", "add", 1) == 1
        """,
    )

    assert ran.returncode == 0, ran.stdout


@pytest.mark.server
def test_all_servers_replay_where_it_is_asked_for(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        """
        def test_replays(restate_server, fresh_server, replaying_server):
            assert [restate_server.always_replay, fresh_server.always_replay] == [True, True]
        """,
        "--always-replay",
    )

    assert ran.returncode == 0, ran.stdout


def test_transitions_that_rehearsals_take_are_written_into_a_file(tmp_path: Path) -> None:
    ran = run_pytest(
        tmp_path,
        """
        from durable_fsm.testing import Rehearsal
        from statemachine import State, StateChart

        class Door(StateChart):
            open = State(initial=True)
            shut = State(final=True)
            close = open.to(shut)
            slam = open.to(shut)

        def test_it_shuts():
            Rehearsal(Door).send("close")
        """,
        "--fsm-coverage=here/doors.json",
    )

    assert "transitions of charts, in here/doors.json: Door 1/2" in ran.stdout
    door = json.loads((tmp_path / "here/doors.json").read_text("utf-8"))["charts"]["Door"]
    assert door["transitions"] == {"open--close--1": 1, "open--slam--1": 0}
    assert door["states"] == {"open": 1, "shut": 1}


def test_without_a_server_the_fixture_says_what_to_do(tmp_path: Path) -> None:
    ran = run_pytest(tmp_path, "def test_any(restate_server): pass", RESTATE_SERVER="nowhere/restate-server")

    assert ran.returncode == 1
    assert "RESTATE_SERVER is 'nowhere/restate-server', but there is no such file." in ran.stdout
    assert "Traceback" not in ran.stdout


# ── given ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def run_pytest(place: Path, tests: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run *tests* in a project of its own, beside the counter application."""
    (place / "counter_app.py").write_text(APP.read_text())
    (place / "test_inner.py").write_text(textwrap.dedent(tests))
    return pytest_in(place, *options, "test_inner.py", **env)


def pytest_in(place: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with our plugin, and as few others as possible, in a directory."""
    installed = any(point.value == PLUGIN for point in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", PLUGIN]
    isolated = ["-W", "error", *WITHOUT, f"--rootdir={place}", f"--confcutdir={place}", "-c", os.devnull]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *isolated, *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

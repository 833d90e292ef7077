"""A forked service is a process like any other, and only its start is cheaper."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_fsm.local.fork_server import SEEDS
from durable_fsm.local.process import port_answers
from durable_fsm.testing import ProcessFailed, ServiceProcess, wait_until
from tests.processes import processes_in
from tests.web import web

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows a fork without exec")

HERE = Path(__file__).parent
FORKED, FRESH = "durable_fsm.local.fork_server", "durable_fsm.serving"


def inside(place: Path, *, fork: bool = True, **env: str) -> ServiceProcess:
    """An application that shows the process it runs in."""
    service = ServiceProcess.serving("inside_app:app", log=place / "log", app_dir=HERE, env=env, fork=fork)
    service.cwd = place
    return service


def seen(service: ServiceProcess, path: str = "health") -> dict[str, Any]:
    found: dict[str, Any] = web.get(f"{service.url}/{path}").json()
    return found


def test_a_fork_sees_what_a_fresh_process_sees(tmp_path: Path) -> None:
    with inside(tmp_path, SHOP="north") as forked:
        one = seen(forked)
    fresh = inside(tmp_path, fork=False, SHOP="north")
    fresh.port, fresh.health, fresh.command = forked.port, forked.health, forked.command
    with fresh:
        other = seen(fresh)

    assert (one["module"], other["module"]) == (FORKED, FRESH)
    assert one["as_started"]["environment"]["SHOP"] == "north"
    assert one["as_started"] == other["as_started"]


def test_restarts_take_hash_seeds_in_turn(tmp_path: Path) -> None:
    hashes: list[int] = []

    with inside(tmp_path) as service:
        for _ in range(SEEDS + 1):
            hashes.append(seen(service)["as_started"]["hash"])
            service.restart().wait_ready()

    assert len(set(hashes)) == SEEDS
    assert hashes[0] == hashes[SEEDS]


def test_forks_share_no_chance(tmp_path: Path) -> None:
    with inside(tmp_path) as one, inside(tmp_path) as other:
        first, second = seen(one), seen(other)

    assert first["parent"] == second["parent"]
    assert first["chance"] != second["chance"]


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "PYTHONOPTIMIZE", "OTEL_PROPAGATORS"])
def test_what_is_read_at_the_start_of_an_interpreter_starts_one(variable: str, tmp_path: Path) -> None:
    value = {"PYTHONHASHSEED": "7", "PYTHONOPTIMIZE": "1", "OTEL_PROPAGATORS": "none"}[variable]

    with inside(tmp_path, **{variable: value}) as service:
        assert seen(service)["module"] == FRESH


def test_what_is_imported_before_the_fork_reads_no_setting_of_ours() -> None:
    """It would read the setting of the fork server instead of the fork's."""
    program = """
        import importlib, os
        asked, read = set(), os._Environ.__getitem__
        os._Environ.__getitem__ = lambda self, name: asked.add(name) or read(self, name)
        from durable_fsm.local.fork_server import PRELOADED, PRELOADED_IF_INSTALLED
        for name in (*PRELOADED, *PRELOADED_IF_INSTALLED):
            importlib.import_module(name)
        print(*asked)
    """
    bare = {name: value for name, value in os.environ.items() if not name.startswith("DURABLE_FSM_")}

    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], env=bare, capture_output=True, text=True, check=True
    )

    assert "PYTHONPATH" in ran.stdout.split() or "HOME" in ran.stdout.split(), "reading is noticed"
    assert [name for name in ran.stdout.split() if name.startswith("DURABLE_FSM_")] == []


def test_a_kill_reaches_what_a_fork_has_started(tmp_path: Path) -> None:
    service = inside(tmp_path).start().wait_ready()
    seen(service, "child")
    assert len(service.pids()) == 2

    service.kill()

    assert processes_in(tmp_path) == []
    assert service.exit_code == -signal.SIGKILL
    assert not port_answers(service.port)


def test_a_fork_ends_in_order(tmp_path: Path) -> None:
    service = inside(tmp_path).start().wait_ready()

    assert service.alive
    assert service.stop() == 0
    assert not service.alive
    assert processes_in(tmp_path) == []


def test_the_exit_code_of_a_fork_is_known(tmp_path: Path) -> None:
    service = inside(tmp_path).start().wait_ready()

    with pytest.raises(httpx.TransportError):
        seen(service, "exit")

    wait_until(lambda: not service.alive, what="the end of the fork")
    assert service.exit_code == 3
    service.close()


def test_an_application_that_is_not_there_says_so(tmp_path: Path) -> None:
    service = ServiceProcess.serving("inside_app:apple", log=tmp_path / "log", app_dir=HERE, fork=True).start()

    with pytest.raises(ProcessFailed, match=r"'inside_app' has no 'apple'."):
        service.wait_ready()


def test_a_fork_server_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """In a process of its own, because the fork servers of this one serve other tests, too."""
    program = f"""
        import os, signal
        from pathlib import Path
        from tests.local.test_fork_server import inside, seen
        from durable_fsm.testing import wait_until

        with inside(Path({str(tmp_path)!r})) as service:
            parents = [seen(service)["parent"]]
            os.kill(parents[0], signal.SIGKILL)
            wait_until(lambda: not service.alive, what="the fork to be given up with its server")
            for _ in range({SEEDS}):
                service.restart().wait_ready()
                parents.append(seen(service)["parent"])
        print(*parents)
    """

    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stderr) == (0, "")
    first, *others, again = ran.stdout.split()
    assert len({first, *others, again}) == SEEDS + 1
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(1)", "sys.exit(0)"])
def test_forks_and_their_servers_die_with_the_test_run(end: str, tmp_path: Path) -> None:
    program = f"""
        import os, signal, sys
        from pathlib import Path
        from durable_fsm.testing import ServiceProcess

        here = Path({str(tmp_path)!r})
        service = ServiceProcess.serving("inside_app:app", log=here / "log", app_dir=Path({str(HERE)!r}), fork=True)
        service.cwd = here
        service.start().wait_ready()
        parent = Path(f"/proc/{{service.pid}}/stat").read_text().rpartition(")")[2].split()[1]
        print(parent, service.pid, flush=True)
        {end}
    """

    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)

    assert ran.stderr == ""
    pids = ran.stdout.split()
    assert len(pids) == 2
    wait_until(lambda: not any(runs(pid) for pid in pids), timedelta(seconds=20), "the end of the fork and its server")


def runs(pid: str) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False

"""Processes that end when they should, whole, and only then."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from durable_fsm.local.process import port_answers
from durable_fsm.testing import NotObserved, ProcessFailed, ServiceProcess, free_port, wait_until
from tests.processes import processes_in

HERE = Path(__file__).parent
A_MOMENT = timedelta(milliseconds=300)


def test_a_killed_service_leaves_no_process_and_no_listening_port(tmp_path: Path) -> None:
    service = web(tmp_path).start().wait_ready()
    assert port_answers(service.port)

    service.kill()

    assert not service.alive
    assert service.pids() == []
    assert not port_answers(service.port)
    assert service.exit_code == -9


def test_a_kill_reaches_the_worker_that_holds_the_port(tmp_path: Path) -> None:
    service = web(tmp_path, f"{sys.executable} -m http.server --bind 127.0.0.1 $PORT & wait").start().wait_ready()
    assert len(service.pids()) == 2

    service.kill()

    assert service.pids() == []
    assert not port_answers(service.port)


def test_a_kill_reaches_a_worker_that_has_left_the_process_group(tmp_path: Path) -> None:
    leave = f"{sys.executable} -c 'import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])'"
    service = web(tmp_path, f"{leave} {sys.executable} -m http.server --bind 127.0.0.1 $PORT & wait")
    service.start().wait_ready()

    service.kill()

    assert service.pids() == []
    assert not port_answers(service.port)


def test_killing_what_has_ended_by_itself_is_an_error(tmp_path: Path) -> None:
    service = web(tmp_path, "echo leaving; exit 3").start()
    wait_until(lambda: not service.alive)

    with pytest.raises(ProcessFailed) as raised:
        service.kill()

    assert "there is nothing to kill: it ended by itself before, with exit code 3" in str(raised.value)
    assert "leaving" in raised.value.log_tail


def test_a_service_that_was_killed_is_not_killed_again_since_its_pid_may_be_anothers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = web(tmp_path).start().wait_ready()
    service.kill()
    hit: list[int] = []
    monkeypatch.setattr("durable_fsm.local.reaper.kill_session", hit.append)

    code = service.stop()
    service.close()

    assert (code, hit) == (-9, [])


def test_a_service_that_dies_before_it_is_ready_shows_its_log(tmp_path: Path) -> None:
    service = web(tmp_path, "echo no such database; exit 7").start()

    with pytest.raises(ProcessFailed) as raised:
        service.wait_ready()

    assert "it died with exit code 7 before it was ready" in str(raised.value)
    assert "no such database" in str(raised.value)


def test_a_service_that_is_not_ready_in_time_says_what_was_seen(tmp_path: Path) -> None:
    service = web(tmp_path, "exec sleep 60").start()

    with pytest.raises(
        ProcessFailed, match=f"not ready after 0.3 s. Seen last: port {service.port} refuses connections"
    ):
        service.wait_ready(timeout=A_MOMENT)
    service.close()


def test_a_service_that_answers_with_errors_is_not_ready(tmp_path: Path) -> None:
    with web(tmp_path) as service:
        url = f"{service.url}/nothing-here"

        with pytest.raises(ProcessFailed, match=f"Seen last: {url} answered 404"):
            service.wait_ready(url, A_MOMENT)


def test_a_port_of_another_process_is_not_mistaken_for_the_service(tmp_path: Path) -> None:
    service = web(tmp_path)
    somebody = socket.create_server(("127.0.0.1", service.port))

    with somebody, pytest.raises(ProcessFailed, match=f"port {service.port} is in use by another process"):
        service.start()


def test_a_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    service = ServiceProcess(["no-such-program"], port=free_port(), log=tmp_path / "log")

    with pytest.raises(ProcessFailed, match=r"no-such-program: it cannot be started: .*The command is"):
        service.start()


def test_a_restarted_service_has_its_port_and_another_hash_seed(tmp_path: Path) -> None:
    with web(tmp_path, "echo seed $PYTHONHASHSEED; exec $PYTHON -m http.server --bind 127.0.0.1 $PORT") as service:
        port = service.port

        service.restart().wait_ready()
        service.restart(graceful=True).wait_ready()

        assert service.port == port
        assert [line for line in service.log_tail().splitlines() if line.startswith("seed")] == [
            "seed 1",
            "seed 2",
            "seed 3",
        ]


def test_an_application_of_restate_obeys_sigterm_after_its_first_request(tmp_path: Path) -> None:
    service = ServiceProcess.serving("counter_app:app", log=tmp_path / "log", app_dir=HERE).start()
    service.wait_ready()  # a request: the SDK has installed its signal handler now

    assert service.stop() == 0
    assert not port_answers(service.port)


def test_a_service_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    service = web(tmp_path, "trap '' TERM; echo deaf; while true; do sleep 0.05; done").start()
    wait_until(lambda: "deaf" in service.log_tail())

    assert service.stop(grace=A_MOMENT) == -9
    assert service.pids() == []


def test_an_application_that_is_not_there_says_so(tmp_path: Path) -> None:
    service = ServiceProcess.serving("counter_app:apple", log=tmp_path / "log", app_dir=HERE).start()

    with pytest.raises(ProcessFailed, match=r"'counter_app' has no 'apple'."):
        service.wait_ready()


def test_a_service_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    service = web(tmp_path)
    thread = threading.Thread(target=service.start)
    thread.start()
    thread.join()

    service.wait_ready()

    service.kill()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("os.kill(os.getpid(), signal.SIGKILL)", id="by SIGKILL"),
        pytest.param("os.kill(os.getpid(), signal.SIGTERM)", id="by SIGTERM"),
        pytest.param("os._exit(1)", id="without cleaning up"),
        pytest.param("sys.exit(0)", id="in order, having closed nothing"),
    ],
)
def test_the_processes_of_a_test_run_die_with_it(end: str, tmp_path: Path) -> None:
    port = free_port()
    program = f"""
        import os, signal, sys
        from pathlib import Path
        from durable_fsm.testing import ServiceProcess

        worker = "{sys.executable} -m http.server --bind 127.0.0.1 {port} & wait"
        service = ServiceProcess(["sh", "-c", worker], port={port}, log=Path("{tmp_path}/log"))
        service.start().wait_ready()
        print(*service.pids(), flush=True)
        {end}
    """

    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False)

    assert ran.stderr == ""
    pids = [int(pid) for pid in ran.stdout.split()]
    assert len(pids) == 2
    wait_until(lambda: not any(runs(pid) for pid in pids), what="the end of the service")
    assert not port_answers(port)


def test_what_is_killed_in_the_midst_of_starting_something_leaves_nothing(tmp_path: Path) -> None:
    program = f"""
        import os, signal, subprocess
        from pathlib import Path
        from durable_fsm.testing import ServiceProcess, free_port

        class Deadly(subprocess.Popen):
            def __init__(self, command, **more):
                super().__init__(command, **more)
                if "sleep" in command:
                    os.kill(os.getpid(), signal.SIGKILL)

        subprocess.Popen = Deadly
        here = Path({str(tmp_path)!r})
        ServiceProcess(["sleep", "600"], port=free_port(), log=here / "log", cwd=here).start()
    """

    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)

    assert ran.returncode == -signal.SIGKILL
    wait_until(lambda: not processes_in(tmp_path), what="the end of the service")


def test_ports_are_given_out_once_and_below_those_of_outgoing_connections() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    assert max(ports) < 32_768


def test_a_port_is_not_given_to_another_process_while_the_one_that_has_it_lives(tmp_path: Path) -> None:
    holds = "from durable_fsm.testing import free_port; print(free_port(), flush=True); input()"
    asks = "import durable_fsm.local.free_ports as ports; print(ports._is_ours({port}))"
    clean = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", holds], env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        ask = [sys.executable, "-c", asks.format(port=holder.stdout.readline().strip())]
        meanwhile = subprocess.run(ask, env=clean, capture_output=True, text=True, check=True).stdout
        holder.stdin.close()
    afterwards = subprocess.run(ask, env=clean, capture_output=True, text=True, check=True).stdout

    assert (meanwhile, afterwards) == ("False\n", "True\n")


def test_waiting_returns_what_was_seen() -> None:
    glimpses = iter([0, None, "", "there"])

    assert wait_until(lambda: next(glimpses)) == "there"


def test_waiting_in_vain_says_for_what_and_what_was_seen_last() -> None:
    with pytest.raises(NotObserved) as raised:
        wait_until(list, timedelta(milliseconds=50), "a second row")

    assert str(raised.value) == "Waited 0.05 s for a second row. Seen last: []."


# ── given ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def web(place: Path, shell: str = "exec $PYTHON -m http.server --bind 127.0.0.1 $PORT") -> ServiceProcess:
    """A shell's command line that should serve on $PORT."""
    port = free_port()
    return ServiceProcess(
        ["sh", "-c", shell],
        port=port,
        log=place / "service.log",
        env={"PORT": str(port), "PYTHON": sys.executable},
        cwd=place,
        name="web",
    )


def runs(pid: int) -> bool:
    """Whether there is such a process and it is no zombie."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")

"""`durable-fsm serve`: three servers, one or several processes, and an end that loses nothing."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from durable_fsm.local.process import port_answers
from durable_fsm.serving import SERVERS
from durable_fsm.testing import EffectLog, RestateServer, ServiceProcess, free_port, wait_until
from tests.scaling import SCALE
from tests.web import web

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
TARGET = f"{HERE / 'desk_app.py'}:desk_app"
PATIENCE = timedelta(seconds=60)
EVENTS, KEYS = int(150 * SCALE), 8
ALL = sorted(SERVERS)


@pytest.fixture
def effects() -> Iterator[EffectLog]:
    with EffectLog() as log:
        yield log


@contextmanager
def serving(
    place: Path, *options: str, env: dict[str, str] | None = None, ready: str = "/ready"
) -> Iterator[ServiceProcess]:
    """`durable-fsm serve` with these options, once it says that it is ready."""
    port = free_port()
    process = ServiceProcess(
        [sys.executable, "-m", "durable_fsm.cli", "serve", TARGET, "--bind", f"127.0.0.1:{port}", *options],
        port=port,
        log=place / "serve.log",
        health=f"http://127.0.0.1:{port}{ready}" if ready else None,
        env=env,
        name="serve",
    )
    try:
        process.start().wait_ready()
        wait_until(lambda: "\nReady." in process.log_tail(), PATIENCE, "it to be ready")
        yield process
    finally:
        process.close()


@contextmanager
def registered(server: RestateServer, *urls: str) -> Iterator[None]:
    """Register each address; what began there is ended afterwards."""
    deployments = [server.register(url) for url in urls]
    try:
        yield
    finally:
        for deployment in deployments:
            server.clear(deployment)
        for deployment in deployments:
            server.deregister(deployment)


def post(server: RestateServer, key: str, handler: str, body: object = None, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{server.ingress_url}/Desk/{key}/{handler}"
    answer = web.post(url, json=body, headers=named)
    assert answer.status_code == 200, answer.text
    return answer.json()


def told_to_end(process: ServiceProcess, number: signal.Signals = signal.SIGTERM) -> int:
    """Send the signal to the one process that was started, and wait for its end; its exit code."""
    os.kill(process.pid, number)
    wait_until(lambda: not process.alive, PATIENCE, "the end of serve")
    assert process.exit_code is not None
    return process.exit_code


# ── ending ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ALL)
def test_events_that_arrive_during_a_drain_are_neither_lost_nor_doubled(
    server: str, restate_server: RestateServer, effects: EffectLog, tmp_path: Path
) -> None:
    with (
        serving(tmp_path, "--server", server, "--drain", "60s", env=dict(effects.env)) as process,
        registered(restate_server, process.url),
        ThreadPoolExecutor(16) as clients,
    ):
        asked = [
            clients.submit(post, restate_server, f"{server}-{n % KEYS}", "count", idempotency_key=f"{server}-{n}")
            for n in range(EVENTS)
        ]
        wait_until(lambda: sum(one.done() for one in asked) >= EVENTS // 3, PATIENCE, "a third of the answers")
        code = told_to_end(process)
        assert not all(one.done() for one in asked), "the signal came under load"
        process.start().wait_ready()
        replies = [one.result()["reply"] for one in asked]

        assert code == 0
        assert "not drained" not in process.log.read_text()
        assert sorted(replies) == sorted(1 + n // KEYS for n in range(EVENTS))


@pytest.mark.parametrize("server", ALL)
def test_a_running_step_ends_during_a_drain_and_is_not_done_again(
    server: str, restate_server: RestateServer, effects: EffectLog, tmp_path: Path
) -> None:
    key = f"{server}-step"
    with (
        serving(tmp_path, "--server", server, env=dict(effects.env)) as process,
        registered(restate_server, process.url),
    ):
        with effects.hold("after:work") as held:
            post(restate_server, key, "work")
            held.wait_reached()
            os.kill(process.pid, signal.SIGTERM)
            wait_until(
                lambda: "ending" in web.get(f"{process.url}/ready").text,
                PATIENCE,
                "the end",
            )
            assert process.alive
        wait_until(lambda: not process.alive, PATIENCE, "the end of serve")
        assert process.exit_code == 0
        process.start().wait_ready()

        post(restate_server, key, "wait_for", {"state": "idle"})
        assert effects.counts("work") == {key: 1}


@pytest.mark.parametrize("server", ALL)
def test_a_waiting_invocation_does_not_delay_the_end_and_resumes_in_the_next_process(
    server: str, restate_server: RestateServer, effects: EffectLog, tmp_path: Path
) -> None:
    key = f"{server}-wait"
    with (
        serving(tmp_path, "--server", server, "--drain", "60s", env=dict(effects.env)) as process,
        registered(restate_server, process.url),
        ThreadPoolExecutor(1) as client,
    ):
        asked = client.submit(post, restate_server, key, "wait")
        callback = wait_until(lambda: callback_of(restate_server, key), PATIENCE, "the callback")
        assert told_to_end(process) == 0
        assert "not drained" not in process.log.read_text()
        process.start().wait_ready()
        said = web.post(
            f"{restate_server.ingress_url}/restate/awakeables/{callback}/resolve",
            json="hello",
        )

        assert said.status_code == 202
        assert asked.result()["outcome"] == "taken"
        assert post(restate_server, key, "snapshot")["data"]["word"] == "hello"


def callback_of(server: RestateServer, key: str) -> str:
    if not server.state("Desk.callbacks", key):
        return ""
    running = post(server, key, "snapshot")["activities"]
    return next((one["id"] for activity in running for one in activity.get("callbacks", [])), "")


def test_a_request_that_does_not_drain_in_time_is_cut_off_and_done_again(
    restate_server: RestateServer, effects: EffectLog, tmp_path: Path
) -> None:
    with (
        serving(tmp_path, "--drain", "500ms", env=dict(effects.env)) as process,
        registered(restate_server, process.url),
    ):
        with effects.hold("before:work") as held:
            post(restate_server, "late", "work")
            held.wait_reached()
            assert told_to_end(process) == 0
        assert "not drained after 0.5 s: 1 invocations are cut off" in process.log_tail()
        process.start().wait_ready()

        post(restate_server, "late", "wait_for", {"state": "idle"})
        assert (effects.counts("work"), effects.lost("work")) == ({"late": 1}, 1)


def test_a_second_signal_ends_it_at_once(restate_server: RestateServer, effects: EffectLog, tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--drain", "60s", env=dict(effects.env)) as process,
        registered(restate_server, process.url),
        effects.hold("before:work") as held,
    ):
        post(restate_server, "twice", "work")
        held.wait_reached()
        os.kill(process.pid, signal.SIGINT)
        wait_until(lambda: "SIGINT: ending; 1 invocations" in process.log_tail(), PATIENCE, "the first to be heard")

        assert told_to_end(process, signal.SIGINT) == 130


# ── several processes ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ALL)
def test_several_processes_end_well_together(
    server: str, restate_server: RestateServer, effects: EffectLog, tmp_path: Path
) -> None:
    key = f"{server}-several"
    with (
        serving(tmp_path, "--server", server, "--workers", "2", env=dict(effects.env)) as process,
        registered(restate_server, process.url),
    ):
        assert len(workers_of(process)) == 2
        assert [post(restate_server, key, "count")["reply"] for _ in range(5)] == [1, 2, 3, 4, 5]

        assert told_to_end(process) == 0
        wait_until(lambda: not process.pids(), PATIENCE, "the end of all of them")


@pytest.mark.parametrize("server", ALL)
def test_a_kill_of_serve_leaves_no_worker(server: str, effects: EffectLog, tmp_path: Path) -> None:
    with serving(tmp_path, "--server", server, "--workers", "2", env=dict(effects.env)) as process:
        workers = workers_of(process)
        os.kill(process.pid, signal.SIGKILL)

        wait_until(lambda: not any(map(runs, workers)), PATIENCE, "the end of the workers")
        wait_until(lambda: not port_answers(process.port), PATIENCE, "the end of their threads")


def test_a_worker_that_dies_has_a_successor(effects: EffectLog, tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", env=dict(effects.env)) as process:
        first, second = workers_of(process)
        os.kill(first, signal.SIGKILL)

        wait_until(lambda: len({*workers_of(process)} - {first}) == 2, PATIENCE, "a successor")
        assert second in workers_of(process)
        assert "worker 1 ended with -9; starting it again" in process.log_tail()


def test_activities_may_be_served_apart_by_another_server(
    restate_server: RestateServer, effects: EffectLog, tmp_path: Path
) -> None:
    apart = free_port()
    options = ("--server", "uvicorn", "--runner-bind", f"127.0.0.1:{apart}", "--runner-server", "granian")
    with (
        serving(tmp_path, *options, env=dict(effects.env)) as process,
        registered(restate_server, process.url, f"http://127.0.0.1:{apart}"),
    ):
        post(restate_server, "apart", "work")
        post(restate_server, "apart", "wait_for", {"state": "idle"})

        assert effects.counts("work") == {"apart": 1}
        where = {
            row["name"]: row["endpoint"]
            for row in restate_server.query(
                "SELECT s.name, d.endpoint FROM sys_service s JOIN sys_deployment d ON s.deployment_id = d.id"
                " WHERE s.name LIKE 'Desk%'"
            )
        }
        assert (where["Desk"], where["Desk.activities"]) == (f"{process.url}/", f"http://127.0.0.1:{apart}/")
        assert told_to_end(process) == 0


def workers_of(process: ServiceProcess) -> list[int]:
    """The processes that it has begun, by age."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    return sorted(int(pid) for pid in listed.stdout.split())


def runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


# ── who may come, and how ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("server", ALL)
def test_it_speaks_tls(server: str, effects: EffectLog, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    tls = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))

    with serving(tmp_path, "--server", server, *tls, env=dict(effects.env), ready="") as process:
        answer = httpx.get(f"https://127.0.0.1:{process.port}/health", verify=trusting, trust_env=False, timeout=60)

        assert answer.status_code == 200
        assert f"https://127.0.0.1:{process.port} by {server}" in process.log_tail()


def test_a_request_without_a_known_identity_key_is_refused(effects: EffectLog, tmp_path: Path) -> None:
    known = "publickeyv1_w7YHemBctH5Ck2nQRQ47iBBqhNHy4FV7t2Usbye2A6f"
    with serving(tmp_path, "--identity-key", known, env=dict(effects.env)) as process:
        answer = web.post(f"{process.url}/invoke/Desk/count")

        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--server", "uvicorn", "--protocol", "bidi"), "uvicorn speaks HTTP/1.1 only"),
        (("--runner-workers", "2"), "need --runner-bind"),
        (("--part", "runners", "--runner-bind", ":9081"), "do not go together"),
        (("--tls-cert", __file__), "--tls-cert and --tls-key go together"),
        (("--bind", "somewhere"), "is not an address to listen at. Write it as in 0.0.0.0:9080."),
        (("--drain", "soon"), "is not a duration"),
        (("--server", "apache"), "is not one of"),
    ],
)
def test_contradicting_options_are_refused_before_a_process_starts(options: tuple[str, ...], problem: str) -> None:
    ran = serve(*options)

    assert ran.returncode == 2
    assert problem in ran.stderr


def test_an_address_that_is_taken_is_reported() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran = serve("--bind", f"127.0.0.1:{taken.getsockname()[1]}")

    assert ran.returncode == 7
    assert "cannot listen at" in ran.stderr


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "durable_fsm.cli", "serve", TARGET, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

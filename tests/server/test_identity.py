"""Request identity: a real server signs its requests, and the service refuses requests with another signature."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from durable_fsm.local.failures import AdminError, ProcessFailed
from durable_fsm.testing import EffectLog, ServiceProcess
from tests.identity import Signing
from tests.server.conftest import Host
from tests.web import web

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
SIGNATURE = "x-restate-jwt-v1"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    with Signing.begun(tmp_path_factory.mktemp("ours")) as signing:
        yield signing


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    with Signing.begun(tmp_path_factory.mktemp("another")) as signing:
        yield signing


@pytest.fixture(scope="module")
def guarded(
    ours: Signing, effect_log: EffectLog, tmp_path_factory: pytest.TempPathFactory, hosting: type[Host]
) -> Iterator[Host]:
    """The charts, served only to our server."""
    log = tmp_path_factory.mktemp("guarded") / "service.log"
    with hosting.on(ours.server, effect_log, log, DURABLE_FSM_IDENTITY_KEYS=ours.public) as host:
        yield host


def signed_by(signing: Signing) -> Mapping[str, str]:
    """Headers with which a server asks a service what it has."""
    seen: list[Mapping[str, str]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Listener) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        with suppress(AdminError):  # it is not a service
            signing.server.register(f"http://127.0.0.1:{listener.server_port}", http1=True)
        listener.shutdown()
    return seen[0]


def test_requests_of_a_server_with_a_known_key_are_accepted(guarded: Host) -> None:
    key = guarded.key("signed")

    assert guarded.receipt("Counter", key, "increment")["reply"] == 1
    guarded.served.restart()
    assert guarded.receipt("Counter", key, "increment")["reply"] == 2


@pytest.mark.parametrize("path", ["discover", "invoke/Counter/increment", "invoke/Counter/_deliver"])
def test_a_request_without_a_signature_is_refused_and_nothing_runs(guarded: Host, path: str) -> None:
    key = guarded.key("unsigned")
    guarded.receipt("Counter", key, "increment")

    answer = web.post(f"{guarded.served.url}/{path}", content=b"{}")

    assert (answer.status_code, answer.content) == (401, b"")
    assert guarded.snapshot("Counter", key)["data"] == {"count": 1}


@pytest.mark.parametrize("path", ["discover", "invoke/Counter/increment"])
def test_a_request_signed_by_another_key_is_refused_and_nothing_runs(
    guarded: Host, another: Signing, path: str
) -> None:
    headers = signed_by(another)

    answer = web.post(f"{guarded.served.url}/{path}", content=b"{}", headers=headers)

    assert SIGNATURE in headers
    assert (answer.status_code, answer.content) == (401, b"")


def test_a_request_is_accepted_with_a_valid_signature_and_refused_with_a_forged_one(
    guarded: Host, ours: Signing
) -> None:
    headers = dict(signed_by(ours))
    signature = headers[SIGNATURE]

    def ask(signature: str) -> int:
        asked = {**headers, SIGNATURE: signature}
        return web.get(f"{guarded.served.url}/discover", headers=asked).status_code

    assert ask(signature) == 200
    head, _, end = signature.rpartition(".")
    assert ask(f"{head}.{'A' * len(end)}") == 401
    assert ask("") == 401


def test_a_server_without_a_signing_key_cannot_register_the_service(
    guarded: Host, awake: Host, another: Signing
) -> None:
    for stranger in (awake.server, another.server):
        with pytest.raises(AdminError, match="401"):
            stranger.register(guarded.served.url)


def test_one_of_several_identity_keys_is_enough(
    ours: Signing, another: Signing, effect_log: EffectLog, tmp_path: Path, hosting: type[Host]
) -> None:
    keys = f"{another.public},{ours.public}"  # a key is changed by naming both for a while

    with hosting.on(ours.server, effect_log, tmp_path / "log", DURABLE_FSM_IDENTITY_KEYS=keys) as host:
        assert host.receipt("Counter", host.key("two"), "increment")["reply"] == 1


def test_a_process_with_a_malformed_key_does_not_start(tmp_path: Path, effect_log: EffectLog) -> None:
    log = tmp_path / "service.log"
    env = {**effect_log.env, "DURABLE_FSM_IDENTITY_KEYS": "publickeyv1_notakey"}
    process = ServiceProcess.serving("charts:charts_app", log=log, env=env, app_dir=HERE).start()

    with closing(process), pytest.raises(ProcessFailed, match="DURABLE_FSM_IDENTITY_KEYS: key 1"):
        process.wait_ready()
    assert "notakey" not in log.read_text()

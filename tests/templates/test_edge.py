"""R25, the template edge: a Cloudflare Worker, run by workerd, that passes on what Restate has signed."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import restate

from durable_fsm.local.failures import ProcessFailed
from durable_fsm.testing import ServiceProcess, free_port
from tests.acceptance.applications import Outside
from tests.identity import Signing
from tests.templates.images import Image
from tests.templates.packages import NODE, TEMPLATES, node_modules
from tests.templates.projects import Greeted, Project, fresh_project
from tests.web import web

pytestmark = pytest.mark.server

HERE = Path(__file__).parent
SIGNATURE = "x-restate-jwt-v1"
KEYS = "DURABLE_FSM_IDENTITY_KEYS"

CONFIGURATION = """
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "edge", worker = .edge), (name = "endpoint", network = (allow = ["private"]))],
  sockets = [(name = "http", http = (), service = "edge")],
);

const edge :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  bindings = [(name = "ENDPOINT_URL", fromEnvironment = "ENDPOINT_URL")],
  globalOutbound = "endpoint",
  compatibilityDate = "2026-11-01",
);
"""
"""What wrangler.toml says, in the format of workerd."""

project = fresh_project("edge")


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    with Signing.begun(tmp_path_factory.mktemp("signing")) as signing:
        yield signing


@pytest.fixture(scope="module")
def python(project: Project, signing: Signing, notifications: Outside) -> Iterator[ServiceProcess]:
    """The Python process, which accepts only requests of our server."""
    with project.serving(project.command("durable-fsm serve"), notifications, **{KEYS: signing.public}) as service:
        yield service


@pytest.fixture(scope="module")
def worker(project: Project, python: ServiceProcess) -> Iterator[ServiceProcess]:
    """The Worker in front of it."""
    port, configuration = free_port(), project.folder / "workerd.capnp"
    configuration.write_text(CONFIGURATION)
    [workerd] = node_modules("edge").glob("@cloudflare/workerd-*/bin/workerd")
    with ServiceProcess(
        [str(workerd), "serve", str(configuration), "--socket-addr", f"http=127.0.0.1:{port}"],
        port=port,
        log=project.folder / "workerd.log",
        env={"ENDPOINT_URL": python.url},
        name="workerd",
    ) as service:
        yield service


@pytest.fixture(scope="module")
def greeted(
    project: Project, signing: Signing, python: ServiceProcess, worker: ServiceProcess, notifications: Outside
) -> Iterator[Greeted]:
    yield from project.registered(python, signing.server, notifications, through=worker.url)


@pytest.fixture(scope="module")
def image(project: Project) -> Image:
    return Image.read(project.folder / "Dockerfile")


def test_restate_knows_the_worker_as_request_and_response_over_http_1(greeted: Greeted, worker: ServiceProcess) -> None:
    assert greeted.deployment["uri"] == f"{worker.url}/"
    assert greeted.deployment["protocol_type"] == "RequestResponse"
    assert greeted.deployment["http_version"] == "HTTP/1.1"


def test_each_message_is_sent_once_although_some_are_refused_and_the_service_is_killed(greeted: Greeted) -> None:
    greeted.tell()


@pytest.mark.parametrize("path", ["discover", "invoke/EdgeGreeter.flow/run"])
def test_the_worker_refuses_what_is_not_signed(greeted: Greeted, worker: ServiceProcess, path: str) -> None:
    answer = web.post(f"{worker.url}/{path}", content=b"{}")

    assert (answer.status_code, answer.text) == (401, "Only requests that Restate has signed are accepted.\n")
    assert path in {"discover", f"invoke/{greeted.flow}/run"}


@pytest.mark.parametrize("through", ["worker", "python"])
def test_python_refuses_what_another_has_signed(request: pytest.FixtureRequest, greeted: Greeted, through: str) -> None:
    service: ServiceProcess = request.getfixturevalue(through)
    forged = {SIGNATURE: "eyJhbGciOiJFZERTQSJ9.e30.AAAA", "x-restate-signature-scheme": "v1"}

    answer = web.post(f"{service.url}/invoke/{greeted.flow}/run", content=b"{}", headers=forged)

    assert (answer.status_code, answer.content) == (401, b"")


def test_a_container_that_knows_no_key_does_not_start(project: Project, image: Image, notifications: Outside) -> None:
    environment = dict(one.split("=", 1) for word, rest in image.stages[-1] if word == "ENV" for one in rest.split())
    given = {KEYS: environment[KEYS].strip('"')}

    with (
        pytest.raises(ProcessFailed, match="DURABLE_FSM_IDENTITY_KEYS is set and names no key"),
        project.serving(image.command, notifications, **given),
    ):
        pass


def test_the_container_starts_what_the_readme_starts(project: Project, image: Image) -> None:
    http1 = Image.read(TEMPLATES / "http1" / "Dockerfile")  # whose steps are taken in its own tests

    assert image.command == project.command("durable-fsm serve")
    assert image.stages[0] == http1.stages[0]
    assert int(image.user) > 0
    linted = subprocess.run(
        [Path(sysconfig.get_path("scripts")) / "hadolint", project.folder / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("configuration", "binds"),
    [("wrangler.toml", 'env.ENDPOINT_URL ("http://127.0.0.1:9080")'), ("wrangler.container.toml", "env.CONTAINER")],
    ids=["worker", "container"],
)
def test_wrangler_bundles_the_worker(project: Project, configuration: str, binds: str, tmp_path: Path) -> None:
    modules = project.folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(node_modules("edge"))
    environ = {"PATH": f"{NODE / 'bin'}:{project.house.env['PATH']}", "WRANGLER_SEND_METRICS": "false"}

    dry = ("--dry-run", "--containers-rollout=none", "--outdir", str(tmp_path))
    wrangler = str(modules / ".bin" / "wrangler")
    said = replace(project, environ=environ).run(wrangler, "deploy", "--config", configuration, *dry)

    assert binds in said
    assert "WARNING" not in said


def test_the_native_core_of_the_sdk_cannot_be_loaded_inside_a_python_worker(tmp_path: Path) -> None:
    script = tmp_path / "pyodide.mjs"
    script.write_text((HERE / "pyodide.mjs").read_text("utf-8"))
    (tmp_path / "node_modules").symlink_to(node_modules("edge"))

    ran = subprocess.run(
        [NODE / "bin" / "node", script, Path(restate.__file__).parents[1]],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found = json.loads(ran.stdout)

    assert found["platform"] == "emscripten"
    assert found["import"] == "No module named 'restate._internal'"
    assert "need to see wasm magic number" in found["load"]

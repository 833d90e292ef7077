"""R23, the template plain: a long-lived server in a container, with bidirectional streams over HTTP/2."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from jsonschema import validate  # type: ignore[import-untyped]

from durable_fsm.testing import RestateServer
from tests.acceptance.applications import Outside
from tests.templates.images import Image
from tests.templates.projects import Greeted, Project, fresh_project

pytestmark = pytest.mark.server

SCRIPTS = Path(sysconfig.get_path("scripts"))

project = fresh_project("plain")


@pytest.fixture(scope="module")
def greeted(project: Project, restate_server: RestateServer, notifications: Outside) -> Iterator[Greeted]:
    with project.serving(project.command("durable-fsm serve"), notifications) as service:
        yield from project.registered(service, restate_server, notifications)


@pytest.fixture(scope="module")
def image(project: Project) -> Image:
    return Image.read(project.folder / "Dockerfile")


def test_the_project_passes_its_own_tests(project: Project) -> None:
    assert "3 passed" in project.run("pytest", "-q")


def test_restate_knows_it_as_bidirectional_streams_over_http_2(greeted: Greeted) -> None:
    assert greeted.deployment["protocol_type"] == "BidiStream"
    assert greeted.deployment["http_version"] == "HTTP/2.0"


def test_each_message_is_sent_once_although_some_are_refused_and_the_service_is_killed(greeted: Greeted) -> None:
    greeted.tell()


def test_the_steps_of_the_image_make_an_environment_that_serves(
    project: Project, image: Image, notifications: Outside, tmp_path: Path
) -> None:
    venv = image.build(project.folder, tmp_path, project.house.env)

    assert image.command == project.command("durable-fsm serve")
    program, *arguments = image.command
    with project.serving([str(venv / "bin" / program), *arguments], notifications) as service:
        stopped = service.stop()
    assert stopped == 0


def test_a_container_runs_without_root(image: Image) -> None:
    assert int(image.user) > 0
    assert ("RUN", f"useradd --uid {image.user} --no-create-home --shell /usr/sbin/nologin machine") in image.stages[-1]


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "Dockerfile"),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"),
        ("kubernetes-validate", "--strict", "kubernetes.yaml"),
    ],
    ids=lambda command: command[0],
)
def test_the_linters_of_image_and_manifests_find_nothing(project: Project, command: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]], cwd=project.folder, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_manifest_for_knative_fits_its_schema(project: Project, tmp_path: Path) -> None:
    service = yaml.safe_load((project.folder / "knative.yaml").read_text("utf-8"))
    schema = json.loads((Path(__file__).parent / "knative_service.json").read_text("utf-8"))

    validate(service, schema)

    containers = service["spec"]["template"]["spec"]["containers"]
    pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "it"}}
    named = [{"name": "it", **container} for container in containers]
    probed = json.loads(json.dumps({**pod, "spec": {"containers": named}}))
    for container in probed["spec"]["containers"]:
        container["readinessProbe"]["httpGet"].setdefault("port", 9080)
    (tmp_path / "pod.json").write_text(json.dumps(probed))
    subprocess.run([str(SCRIPTS / "kubernetes-validate"), "--strict", tmp_path / "pod.json"], check=True)


def test_every_manifest_starts_what_the_readme_starts(project: Project) -> None:
    files = ("compose.yaml", "kubernetes.yaml")
    found = [one for file in files for one in yaml.safe_load_all((project.folder / file).read_text("utf-8"))]
    [compose, *manifests] = found
    [job] = [one for one in manifests if one["kind"] == "Job"]
    registrations = [
        compose["services"]["register"]["entrypoint"],
        job["spec"]["template"]["spec"]["containers"][0]["command"],
    ]

    assert [words[:2] for words in registrations] == [project.command("durable-fsm register")[:2]] * 2
    for words in registrations:
        assert words[2] in ("http://service:9080", "http://plain-greeter-1:9080")
        assert words[3:] == ["--admin", "http://restate:9070"]

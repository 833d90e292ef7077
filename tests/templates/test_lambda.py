"""R18, the template lambda: a function of AWS Lambda, its zip and its stack, and greetings by way of a bridge."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.testing import RestateServer, ServiceProcess, free_port
from tests.acceptance.applications import ROOT, Outside
from tests.acceptance.figures import FIGURES
from tests.templates.packages import node_modules, wheels_for_lambda
from tests.templates.projects import Greeted, Project, fresh_project
from tests.web import web

pytestmark = pytest.mark.server

BRIDGE = ROOT / "deploy" / "lambda_bridge.py"
MANIFEST = "application/vnd.restate.endpointmanifest.v4+json"
AARCH64 = 183
"""The machine in the header of an ELF file."""
GIVEN = {"RESTATE_ENV_ID": "env_123", "RESTATE_API_KEY": "key_secret", "NOTIFICATIONS_URL": "https://outside.test"}
OFFLINE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "CDK_DISABLE_CLI_TELEMETRY": "1"}

project = fresh_project("lambda")


@pytest.fixture(scope="module")
def greeted(project: Project, restate_server: RestateServer, notifications: Outside) -> Iterator[Greeted]:
    """The function, called by way of the bridge: one process for each call."""
    port = free_port()
    with ServiceProcess(
        [str(project.folder / ".venv/bin/python"), str(BRIDGE), "handler:app", "--port", str(port)],
        port=port,
        log=project.folder / "bridge.log",
        health=f"http://127.0.0.1:{port}/health",
        env={**project.environ, "NOTIFICATIONS_URL": notifications.url},
        cwd=project.folder,
        name="bridge",
    ) as bridge:
        made = restate_server.register(bridge.url)
        deployment = web.get(f"{restate_server.admin_url}/deployments/{made.id}").raise_for_status().json()
        yield Greeted(project, bridge, restate_server, notifications, deployment)
        FIGURES.count("lambda", restate_server, made.services)
        restate_server.clear(made)
        restate_server.deregister(made)


@pytest.fixture(scope="module")
def prepared(project: Project) -> Project:
    """The project after `npm install`."""
    (project.folder / "node_modules").symlink_to(node_modules("lambda"))
    wheels = f"{project.house.wheels} {wheels_for_lambda()}"
    return replace(project, environ={**project.environ, **OFFLINE, **GIVEN, "PIP_FIND_LINKS": wheels})


@pytest.fixture(scope="module")
def asset(prepared: Project) -> Path:
    assert "requirements.lock" not in {path.name for path in prepared.folder.iterdir()}
    prepared.run("npm", "run", "build")
    return prepared.folder / "build" / "lambda.zip"


@pytest.fixture(scope="module")
def stack(prepared: Project, asset: Path) -> Any:  # Any: CloudFormation's JSON
    prepared.run("npm", "run", "synth")
    return json.loads((prepared.folder / "cdk.out" / f"{prepared.chart}.template.json").read_text("utf-8"))


def resources(stack: Any, kind: str) -> list[Any]:
    return [one for one in stack["Resources"].values() if one["Type"] == kind]


def calls(bridge: ServiceProcess, path: str) -> list[str]:
    """The processes that were called at this path."""
    return [line.split()[0] for line in bridge.log.read_text().splitlines() if line.endswith(f" POST {path}")]


def test_the_function_describes_itself_as_request_and_response(greeted: Greeted) -> None:
    manifest = web.get(f"{greeted.service.url}/discover", headers={"accept": MANIFEST}).json()

    assert manifest["protocolMode"] == "REQUEST_RESPONSE"
    assert greeted.flow in {service["name"] for service in manifest["services"]}
    assert (greeted.deployment["protocol_type"], greeted.deployment["http_version"]) == ("RequestResponse", "HTTP/1.1")


def test_a_greeting_takes_several_calls_each_in_a_process_of_its_own(greeted: Greeted) -> None:
    path = f"/invoke/{greeted.flow}/run"
    before = len(calls(greeted.service, path))

    answer = greeted.greet("Carol")

    processes = calls(greeted.service, path)[before:]
    assert answer == "You said hi to Carol!"
    assert len(processes) == len(set(processes)) >= 2


def test_each_message_is_sent_once_although_some_are_refused_and_the_service_is_killed(greeted: Greeted) -> None:
    greeted.tell()


def test_the_stack_has_the_function_and_registers_its_version(prepared: Project, stack: Any, asset: Path) -> None:
    kinds = Counter(one["Type"] for one in stack["Resources"].values())
    functions = resources(stack, "AWS::Lambda::Function")
    [function] = [one["Properties"] for one in functions if one["Properties"]["Runtime"] == "python3.13"]
    [registration] = [one["Properties"] for one in resources(stack, "Custom::RestateServiceDeployment")]
    [version] = [name for name, one in stack["Resources"].items() if one["Type"] == "AWS::Lambda::Version"]

    assert kinds - Counter(["AWS::CDK::Metadata"]) == {
        "AWS::Lambda::Function": 2,
        "AWS::Lambda::Version": 1,
        "AWS::IAM::Role": 3,
        "AWS::IAM::Policy": 2,
        "AWS::SecretsManager::Secret": 1,
        "AWS::Logs::LogGroup": 1,
        "Custom::RestateServiceDeployment": 1,
    }
    assert (function["Handler"], function["Architectures"], function["Timeout"]) == ("handler.app", ["arm64"], 30)
    assert function["Environment"]["Variables"] == {"NOTIFICATIONS_URL": GIVEN["NOTIFICATIONS_URL"]}
    assert (prepared.folder / "cdk.out" / f"asset.{function['Code']['S3Key']}").read_bytes() == asset.read_bytes()
    assert registration["servicePath"] == prepared.chart
    assert registration["adminUrl"] == "https://123.env.us.restate.cloud:9070"
    assert registration["serviceLambdaArn"] == {"Ref": version}
    assert registration.keys() >= {"invokeRoleArn", "authTokenSecretArn"}
    assert stack["Resources"][version]["DeletionPolicy"] == "Retain", "what began on a version ends on it"
    assert stack["Outputs"]["restateIngressUrl"]["Value"] == "https://123.env.us.restate.cloud"


def test_the_api_key_is_in_no_file(prepared: Project, stack: Any) -> None:
    [secret] = resources(stack, "AWS::SecretsManager::Secret")
    written = [
        path for path in (prepared.folder / "cdk.out").rglob("*.json") if "key_secret" in path.read_text("utf-8")
    ]

    assert secret["Properties"]["SecretString"] == {"Ref": "RestateApiKey"}
    assert stack["Parameters"]["RestateApiKey"] == {"Type": "String", "NoEcho": True}
    assert written == []
    assert "--parameters RestateApiKey=$RESTATE_API_KEY" in (prepared.folder / "package.json").read_text("utf-8")


def test_the_zip_has_the_project_and_its_packages_compiled_for_arm64(asset: Path) -> None:
    with zipfile.ZipFile(asset) as content:
        names = set(content.namelist())
        native = {name: content.read(name) for name in names if re.search(r"\.so(\.|$)", name)}
        size = sum(one.file_size for one in content.infolist())

    assert names >= {"handler.py", "service.py", "machine.py", "activities.py", "durable_fsm/__init__.py"}
    assert {name.partition("/")[0] for name in native} >= {"restate", "pydantic_core", "msgspec"}
    assert any(re.fullmatch(r"restate/_internal\.cpython-313-aarch64-\S+\.so", name) for name in native)
    assert {(one[:4], int.from_bytes(one[18:20], "little")) for one in native.values()} == {(b"\x7fELF", AARCH64)}
    assert size < 250 * 2**20


def test_the_same_versions_make_the_same_zip(prepared: Project, asset: Path) -> None:
    before, lock = asset.read_bytes(), (prepared.folder / "requirements.lock").read_text("utf-8")

    prepared.run("npm", "run", "build")

    assert asset.read_bytes() == before
    assert (prepared.folder / "requirements.lock").read_text("utf-8") == lock
    assert re.search(r"^restate-sdk==\d", lock, re.MULTILINE)


def test_what_is_missing_is_named_before_anything_is_made(prepared: Project, tmp_path: Path) -> None:
    for name in ("cdk.ts", "node_modules"):
        (tmp_path / name).symlink_to(prepared.folder / name)
    environ = {"PATH": prepared.environ["PATH"], "NOTIFICATIONS_URL": "https://outside.test"}
    command = [tmp_path / "node_modules" / ".bin" / "tsx", "cdk.ts"]

    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False)

    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "RESTATE_ENV_ID is not set. It is the id of your Restate Cloud environment, env_…",
        "RESTATE_API_KEY is not set. It is an API key of that environment, with the role Admin",
        "build/lambda.zip does not exist. Build it: npm run build",
    ]


def test_the_readme_deploys_with_scripts_that_exist_and_the_page_says_what_was_not_tried(project: Project) -> None:
    readme = (project.folder / "README.md").read_text("utf-8")
    scripts = json.loads((project.folder / "package.json").read_text("utf-8"))["scripts"]
    page = (ROOT / "docs" / "deploying.md").read_text("utf-8")

    assert re.findall(r"npm run (\w+)", readme) == [*scripts]
    assert "We have not deployed it to AWS" in " ".join(page.split())

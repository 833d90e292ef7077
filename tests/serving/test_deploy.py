"""What stands in `deploy/`: read by the tools that know these formats, and its commands run as they stand there."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from durable_fsm.local.cluster import _settings
from durable_fsm.testing import EffectLog, RestateCluster, RestateServer, ServiceProcess, free_port, wait_until
from tests.web import web

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCRIPTS = Path(sysconfig.get_path("scripts"))
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "deploy/Dockerfile"),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"),
        ("kubernetes-validate", "--strict", "deploy/kubernetes/restate.yaml", "deploy/kubernetes/order.yaml"),
    ],
    ids=lambda command: command[0],
)
def test_the_linters_of_image_and_manifests_find_nothing(command: tuple[str, ...]) -> None:
    ran = subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_cluster_of_the_manifests_is_set_up_as_the_one_that_is_tested() -> None:
    [nodes] = [one for one in manifests("restate.yaml") if one["kind"] == "StatefulSet"]
    [container] = nodes["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one.get("value") for one in container["env"]}
    tested = _settings(1, [f"http://restate-{n}.restate-nodes:5122" for n in range(3)])

    assert nodes["spec"]["replicas"] == 3 == len(RestateCluster().nodes)
    own = {
        "POD_NAME",
        "RESTATE_CLUSTER_NAME",
        "RESTATE_NODE_NAME",
        "RESTATE_ADVERTISED_ADDRESS",
        "RESTATE_AUTO_PROVISION",
    }
    same = given.keys() - own
    hasty = {"RESTATE_BIND_PORT", "RESTATE_GOSSIP_SUSPECT_INTERVAL"}  # several on one machine, and soon back
    assert same == tested.keys() - own - hasty
    assert {name: given[name] for name in same} == {name: tested[name] for name in same}
    assert given["RESTATE_ADVERTISED_ADDRESS"].endswith(".restate-nodes:5122")
    [job] = [one for one in manifests("restate.yaml") if one["kind"] == "Job"]
    arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
    assert f"--num-partitions={given['RESTATE_DEFAULT_NUM_PARTITIONS']}" in arguments
    assert f"--partition-replication={given['RESTATE_DEFAULT_REPLICATION']}" in arguments


@pytest.fixture
def image(tmp_path: Path) -> tuple[Path, list[str], list[str]]:
    """What the last stage of the Dockerfile copies from here, its ENTRYPOINT and its CMD."""
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    last = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM ")) :]
    for line in last:
        if line.startswith("COPY ") and "--from" not in line:
            _, source, target = line.split()
            shutil.copytree(
                ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__", ".durable_fsm")
            )
    words = {name: next(line for line in last if line.startswith(f"{name} ")) for name in ("ENTRYPOINT", "CMD")}
    entry, command = (json.loads(line.partition(" ")[2]) for line in words.values())
    return tmp_path, entry, command


def begun(place: Path, entry: list[str], arguments: list[str], env: dict[str, str]) -> ServiceProcess:
    """A container's command, at another address than the one it names."""
    port = free_port()
    words = [f"127.0.0.1:{port}" if word == "0.0.0.0:9080" else word for word in (*entry, *arguments)]
    assert words[0] == "durable-fsm"
    return ServiceProcess(
        [sys.executable, "-m", "durable_fsm.cli", *words[1:]],
        port=port,
        log=place / "log" / f"{port}.log",
        health=f"http://127.0.0.1:{port}/ready",
        env=env,
        cwd=place,
        name="container",
    ).start()


@pytest.mark.server
def test_the_commands_of_image_and_manifests_serve_and_register_an_order(
    image: tuple[Path, list[str], list[str]], restate_server: RestateServer
) -> None:
    place, entry, command = image
    port = free_port()
    outside = ServiceProcess(
        [sys.executable, "-m", "machines.order.outside", "--port", str(port)],
        port=port,
        log=place / "outside.log",
        cwd=place,
    )
    env = {"OUTSIDE_URL": outside.url, "DURABLE_FSM_PAYLOAD_CHECKS": "1"}
    found = manifests("order.yaml")
    parts = [one for one in found if one["kind"] == "Deployment"]
    containers = {one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0] for one in parts}
    [job] = [one for one in found if one["kind"] == "Job"]
    processes: dict[str, ServiceProcess] = {}
    try:
        outside.start().wait_ready()
        for name, container in containers.items():
            processes[name] = begun(place, entry, container["args"], env)
        for process in processes.values():
            process.wait_ready()
        registered: list[Any] = []
        for step in job["spec"]["template"]["spec"]["containers"]:
            name = next(name for name in processes if f"//{name}:" in step["command"][2])
            words = [restate_server.admin_url if "restate:9070" in word else word for word in step["command"][1:]]
            words[1] = processes[name].url
            run = [sys.executable, "-m", "durable_fsm.cli", *words, "--json"]
            registered.append(json.loads(subprocess.run(run, capture_output=True, check=True, timeout=300).stdout))
        assert ["Order" in one["services"] for one in registered] == [True, False]
        assert [any(".activities" in name for name in one["services"]) for one in registered] == [False, True]

        restate_server.call("Order", "deployed", "add_item", {"name": "lamp", "cents": 2100, "quantity": 2})
        restate_server.call("Order", "deployed", "checkout", {"card": "5555 1111", "address": "12 Harbour Street"})
        restate_server.call("Order", "deployed", "wait_for", {"state": "paid", "timeout": "60s"})
        deployments = [restate_server.register(process.url) for name, process in processes.items()]
        for deployment in deployments:
            restate_server.clear(deployment)
        for deployment in deployments:
            restate_server.deregister(deployment)
    finally:
        for process in (*processes.values(), outside):
            process.close()

    alone = begun(place, entry, command, env)
    try:
        alone.wait_ready()
    finally:
        alone.close()


@pytest.mark.server
def test_a_lambda_function_hosts_machines_and_nothing_of_it_lives_while_they_wait(
    restate_server: RestateServer, tmp_path: Path
) -> None:
    port = free_port()
    with EffectLog() as effects:
        bridge = ServiceProcess(
            [sys.executable, str(DEPLOY / "lambda_bridge.py"), "desk_app:desk_app", "--port", str(port)],
            port=port,
            log=tmp_path / "bridge.log",
            env=dict(effects.env),
            cwd=HERE,
            name="bridge",
        )
        try:
            bridge.start().wait_ready()
            manifest = web.get(
                f"{bridge.url}/discover",
                headers={"accept": "application/vnd.restate.endpointmanifest.v4+json"},
            ).json()
            assert manifest["protocolMode"] == "REQUEST_RESPONSE"
            deployment = restate_server.register(bridge.url)  # asks over HTTP/2 first, and is told to use HTTP/1.1
            counted = [restate_server.call("Desk", "lambda", "count")["reply"] for _ in range(3)]
            restate_server.call("Desk", "lambda", "work")
            restate_server.call("Desk", "lambda", "wait_for", {"state": "idle"})
            work = [line for line in bridge.log_tail(1_000).splitlines() if "/Desk.activities/working" in line]
            processes = {line.split()[0] for line in work}

            assert counted == [1, 2, 3]
            assert effects.counts("work") == {"lambda": 1}
            assert len(work) == len(processes) >= 2, "suspended, and taken up by another process"
            wait_until(lambda: len(bridge.pids()) == 1, what="the end of every process but the bridge")
            restate_server.clear(deployment)
            restate_server.deregister(deployment)
        finally:
            bridge.close()


def manifests(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()) if one]


def test_the_names_in_the_compose_file_are_those_of_its_services() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]

    urls = [
        word for service in services.values() for word in service.get("entrypoint", []) if word.startswith("http://")
    ]
    urls += [value for service in services.values() for value in service.get("environment", {}).values()]
    assert urls
    assert {url.removeprefix("http://").partition(":")[0] for url in urls} <= services.keys()
    assert shlex.join(services["outside"]["entrypoint"]).endswith("--host 0.0.0.0 --port 9090")

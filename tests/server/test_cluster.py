"""A cluster of three nodes, each of which is killed once: no event is lost or taken twice."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from durable_fsm.local.failures import AdminError
from durable_fsm.testing import Deployment, EffectLog, RestateCluster, RestateServer, ServiceProcess, wait_until
from tests.server.clients import answered
from tests.web import web

pytestmark = pytest.mark.server

SCRIPT = Path(__file__).parents[2] / "deploy" / "cluster.py"
EVENTS = 500
COUNTERS = 16
SENDERS = 16
PATIENCE = timedelta(minutes=2)


@pytest.fixture
def cluster() -> Iterator[RestateCluster]:
    with RestateCluster() as cluster:
        yield cluster


def test_the_script_runs_a_cluster_until_sigterm(tmp_path: Path, effect_log: EffectLog) -> None:
    app_dir, log = Path(__file__).parent, tmp_path / "service.log"
    with ServiceProcess.serving("charts:charts_app", log=log, env=effect_log.env, app_dir=app_dir) as service:
        command = [sys.executable, "-u", str(SCRIPT), "--register", service.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as script:
            assert script.stdout is not None
            try:
                said = list(itertools.takewhile(lambda line: not line.startswith("Ctrl-C"), script.stdout))
                ingresses = [re.findall(r"ingress (\S+),", line)[0] for line in said[:3]]
                pids = [int(line.rpartition("pid ")[2]) for line in said[:3]]
                # A node may hear of the registration a moment later than the one that was asked for it.
                answers = [wait_until(partial(accepted, f"{url}/Counter/one/increment")) for url in ingresses]
                replies = [answer["reply"] for answer in answers]
            finally:
                script.send_signal(signal.SIGINT)

    assert script.returncode == 0
    assert said[3].startswith(f"registered {service.url}: ")
    assert replies == [1, 2, 3]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def accepted(url: str) -> dict[str, Any] | None:
    """The receipt of an event, unless it is refused."""
    answer = web.post(url)
    return answer.json() if answer.is_success else None


class Sender:
    """Sends to any node, and to the next one if it gets no answer, always under the same idempotency key."""

    def __init__(self, cluster: RestateCluster, client: httpx.AsyncClient) -> None:
        self._nodes = itertools.cycle(cluster.nodes)
        self._client = client

    async def send(self, chart: str, key: str, event: str, id: str, body: object = None) -> object:
        """The reply of the event's receipt."""
        path = f"/{chart}/{quote(key, safe='')}/{event}"
        while True:
            node = next(self._nodes)
            try:
                answer = await self._client.post(node.ingress_url + path, json=body, headers={"idempotency-key": id})
            except httpx.TransportError:
                await asyncio.sleep(0.05)  # between two tries of a sender, as anywhere
                continue
            if not answered(answer):
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == 200, answer.text
            reply: object = answer.json()["reply"]
            return reply


@pytest.mark.first
def test_nothing_is_lost_or_doubled_when_each_node_is_killed_once(
    cluster: RestateCluster, effect_log: EffectLog, tmp_path: Path, dice: random.Random, scale: int
) -> None:
    """Events, timers and activities are under way whenever a node dies: 5,000 events at SCALE=10."""
    env = {**effect_log.env, "DURABLE_FSM_PAYLOAD_CHECKS": "1"}
    app_dir, log = Path(__file__).parent, tmp_path / "service.log"
    with ServiceProcess.serving("charts:charts_app", log=log, env=env, app_dir=app_dir) as service:
        deployment = cluster.register(service.url)
        story = asyncio.run(_story(cluster, effect_log, dice, EVENTS * scale))
        nodes = cluster.nodes
        _settled(cluster, deployment)

        for counter, replies in story.items():
            assert sorted(replies) == list(range(1, len(replies) + 1))
            assert nodes[0].call("Counter", counter, "snapshot")["data"] == {"count": len(replies)}
        for number, node in enumerate(nodes):
            order = node.call("Order", f"order-{number}", "snapshot")
            assert (order["configuration"], order["data"]["rounds"]) == (["paid"], 1)
            [stable_id] = {entry.key for entry in effect_log.entries(f"cluster-{number}")}
            assert stable_id == f"Order/order-{number}/{order['life']}/charging/2"
            assert node.call("Clock", f"clock-{number}", "snapshot")["configuration"] == ["rung"]
        fired = cluster.query(
            "SELECT target_service_key AS key FROM sys_invocation"
            " WHERE target_service_name = 'Clock' AND target_handler_name = '_deliver'"
        )
        assert sorted(row["key"] for row in fired) == ["clock-0", "clock-1", "clock-2"]


async def _story(
    cluster: RestateCluster, effects: EffectLog, dice: random.Random, count: int
) -> dict[str, list[object]]:
    """Send all events, from several senders at once, and kill a node after each quarter of them; the replies."""
    replies: dict[str, list[object]] = defaultdict(list)
    numbers = iter(range(count))
    quarters = [asyncio.Event() for _ in cluster.nodes]
    done = 0

    async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as client:

        async def keep_sending() -> None:
            nonlocal done
            sender = Sender(cluster, client)
            for number in numbers:
                counter = f"counter-{dice.randrange(COUNTERS)}"
                replies[counter].append(await sender.send("Counter", counter, "increment", f"event-{number}"))
                done += 1
                for quarter in quarters[: 4 * done // count]:
                    quarter.set()

        async def kill_one_after_another() -> None:
            sender = Sender(cluster, client)
            for number, victim in enumerate(cluster.nodes):
                await quarters[number].wait()
                await _kill(cluster, effects, sender, number, victim)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(kill_one_after_another())
            for _ in range(SENDERS):
                tasks.create_task(keep_sending())
    return replies


async def _kill(
    cluster: RestateCluster, effects: EffectLog, sender: Sender, number: int, victim: RestateServer
) -> None:
    """Kill a node while an activity is under way and a timer runs that is due before the node is back."""
    effect = f"cluster-{number}"
    due = datetime.now(UTC) + timedelta(seconds=2)
    await sender.send("Clock", f"clock-{number}", "nap", f"nap-{number}", {"at": due.isoformat()})
    with effects.hold(f"before:{effect}") as gate:
        await sender.send("Order", f"order-{number}", "checkout", f"checkout-{number}", {"effect": effect})
        await asyncio.to_thread(gate.wait_reached)
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(cluster.alive[0].wait_ready)
    await asyncio.to_thread(victim.start)


def _settled(cluster: RestateCluster, deployment: Deployment) -> None:
    """Return once nothing is on its way."""
    names = ", ".join(f"'{name}'" for name in deployment.services)
    asked = f"SELECT id FROM sys_invocation WHERE target_service_name IN ({names}) AND status <> 'completed'"

    def nothing_left() -> bool:
        try:
            return not cluster.query(asked)
        except AdminError:  # a partition is just changing its leader
            return False

    wait_until(nothing_left, PATIENCE, "everything to end")

"""SIGKILL at random moments: no event is lost or taken twice, and each effect keeps one stable id."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from durable_fsm.testing import wait_until
from tests.server.clients import answered

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

EVENTS_PER_KILL = 10
COUNTERS = 4
VICTIMS = ("service", "server", "both")
PATIENCE = timedelta(seconds=120)


@dataclass
class Kill:
    """One kill: whom it hit, and the work that was under way."""

    victim: str
    chart: str
    key: str
    arrivals: int


@dataclass
class Story:
    """The events sent to the machines, to be compared with their histories."""

    sent: Counter[str] = field(default_factory=Counter[str])
    replies: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    kills: list[Kill] = field(default_factory=list)


@pytest.mark.parametrize("server", ["awake", "replaying"])
def test_kills_lose_no_event_and_repeat_none(
    server: str, request: pytest.FixtureRequest, scale: int, dice: random.Random
) -> None:
    host: Host = request.getfixturevalue(server)
    kills = 5 * scale if server == "awake" else 3
    counters = [host.key("counter") for _ in range(COUNTERS)]
    story = Story()

    for number in range(kills):
        _one_kill(host, dice, counters, number, story)
    host.settled()

    # the state: every event exactly once
    assert sum(story.sent.values()) == EVENTS_PER_KILL * kills - kills  # and one event each that begins the work
    for counter in counters:
        assert sorted(story.replies[counter]) == list(range(1, story.sent[counter] + 1))
        assert host.snapshot("Counter", counter)["data"] == {"count": story.sent[counter]}
    # the work under way when the kill came: attempted again, ended well, under one stable id
    for kill in story.kills:
        machine = host.snapshot(kill.chart, kill.key)
        assert machine["configuration"] == ["paid" if kill.chart == "Order" else "opened"]
        assert machine["data"]["rounds"] == 1
        [stable_id] = {entry.key for entry in host.effects.entries(kill.key)}
        activity = "charging" if kill.chart == "Order" else "opening"
        assert stable_id == f"{kill.chart}/{kill.key}/{machine['life']}/{activity}/2"
        assert kill.arrivals >= 2
    print(_summary(story, host))


def _one_kill(host: Host, dice: random.Random, counters: list[str], number: int, story: Story) -> None:
    """Begin some work, hold it, send events, and kill while both are under way."""
    chart = dice.choice(("Order", "Door"))
    victim = VICTIMS[number] if number < len(VICTIMS) else dice.choice(VICTIMS)
    key = host.key("killed")
    chosen = [dice.choice(counters) for _ in range(EVENTS_PER_KILL - 1)]
    event = "checkout" if chart == "Order" else "push"

    with host.effects.hold(f"{dice.choice(('before', 'after'))}:{key}") as gate:
        host.server.send(chart, key, event, {"effect": key})
        gate.wait_reached()
        assert host.jobs(chart, key, "running", "suspended")
        asyncio.run(_send_and_kill(host, dice, chosen, number, victim, story))
    wait_until(lambda: host.effects.arrived(key) >= 2, PATIENCE, f"a second attempt at {chart}/{key}")
    host.wait_in(chart, key, "paid" if chart == "Order" else "opened")
    story.kills.append(Kill(victim, chart, key, host.effects.arrived(key)))


async def _send_and_kill(
    host: Host, dice: random.Random, counters: list[str], number: int, victim: str, story: Story
) -> None:
    """Send all events at once and kill after a random few of them; senders insist until they are answered."""
    done = 0
    enough = asyncio.Event()
    when = dice.randrange(len(counters))

    async def insist(client: httpx.AsyncClient, counter: str, place: int) -> None:
        nonlocal done
        headers = {"idempotency-key": f"{counter}/{number}/{place}"}
        story.sent[counter] += 1
        while True:
            try:
                answer = await client.post(host.url("Counter", counter, "increment"), headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.05)  # between two tries of a sender, as anywhere
                continue
            if not answered(answer):
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == 200, answer.text
            story.replies[counter].append(answer.json()["reply"])
            done += 1
            if done > when:
                enough.set()
            return

    async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as client:
        sending = [asyncio.ensure_future(insist(client, counter, place)) for place, counter in enumerate(counters)]
        await enough.wait()
        await asyncio.to_thread(_kill, host, victim)
        await asyncio.gather(*sending)


def _kill(host: Host, victim: str) -> None:
    if victim in ("service", "both"):
        host.served.kill()
    if victim in ("server", "both"):
        host.server.kill()
        host.server.start()
    if victim in ("service", "both"):
        host.served.restart()


def _summary(story: Story, host: Host) -> str:
    effects = Counter(len(host.effects.entries(kill.key)) for kill in story.kills)
    return (
        f"{len(story.kills)} kills ({dict(Counter(kill.victim for kill in story.kills))}) over"
        f" {sum(story.sent.values()) + len(story.kills)} events: every counter 1..n"
        f" ({dict(story.sent)}); works by effects recorded: {dict(effects)};"
        f" arrivals {sorted(kill.arrivals for kill in story.kills)}"
    )

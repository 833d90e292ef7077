"""An operator who kills, cancels, pauses, purges and restarts whatever runs: no key is blocked, and everything ends."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.server.test_fuzz import end_everything

if TYPE_CHECKING:
    from tests.server.conftest import Host

pytestmark = pytest.mark.server

ROUNDS = 1
"""For each of the three servers. More are played, up to so many times as many, until all kinds of invocations were met."""

MOST_ROUNDS = 24

ACTIONS = {
    "status <> 'completed'": ("kill", "cancel", "pause", "resume"),
    "status = 'completed'": ("restart-as-new", "purge"),
}
"""What an operator may do to invocations, by their status."""

KINDS = {
    "Bale": {"_begin", "_check", "end"},
    "Carrier": {
        *("create", "carry_it", "carry_alone", "carry_after", "carry_in_turn", "carry_many", "send_off", "ask_outside"),
        *("dawdle", "wait_for", "_wait", "_run", "_deliver", "snapshot", "delete"),
    },
    "Carrier.activities": {
        "carrying",
        "alone",
        "after",
        "queued",
        "_each_many",
        "many",
        "cart",
        "_start",
        "_watch",
        "asking",
    },
    "Carrier.callbacks": {"note", "forget"},
    "Carrier.limits": {"enter", "watch", "leave"},
    "Carrier.workflow": {"run"},
    "Haul.activities": {"errand"},
    "Haul.flow": {"run"},
    "Porter": {"begin", "_mail"},
    "Scribe": {"write", "_mail", "_incoming"},
    "Scribe.history": {"put"},
    "Scribe.relay": {"_relay"},
    "Scribe.webhooks": {"post"},
}
"""Handlers that the work below calls. An operator meets each kind of invocation in one state or another."""


def give_work(host: Host, key: str) -> None:
    """Have one machine of each kind busy, in ways that take a while."""
    calls: list[tuple[str, str, str, object]] = [
        ("Carrier", f"{key}-{event}", f"{event}/send", 5)
        for event in (
            "carry_it",
            "carry_alone",
            "carry_after",
            "carry_in_turn",
            "carry_many",
            "send_off",
            "ask_outside",
        )
    ]
    calls += [("Carrier", f"{key}-carry_it", "wait_for/send", {"status": "failed", "timeout": "20s"})]
    calls += [("Carrier", f"{key}-held", handler, None) for handler in ("create/send", "dawdle/send")]
    calls += [("Carrier", f"{key}-held", handler, 1) for handler in ("send_off/send", "carry_it/send")]
    calls += [("Carrier", f"{key}-held", "wait_for/send", {"state": "over", "timeout": "20s"})]
    calls += [("Carrier.workflow", f"{key}-flow", "run/send", {}), ("Porter", key, "begin/send", 3)]
    calls += [("Scribe", key, "write/send", {"to": f"{key}-{number % 2}"}) for number in range(24)]
    calls += [("Carrier", f"{key}-many", handler, None) for handler in ("dawdle/send", "delete/send")]
    calls += [("Scribe", key, "write_abroad/send", None), ("Carrier", f"{key}-send_off", "snapshot/send", None)]
    host.together(calls)
    for url, body in (
        ("Haul.flow/run/send", {"bytes": 3}),
        ("Scribe.webhooks/post/send", {"key": key, "payload": "p"}),
    ):
        host.client.post(f"{host.server.ingress_url}/{url}", json=body)
    for row in host.server.query(
        "SELECT service_key FROM state WHERE service_name = 'Bale' AND key = 'snapshot' LIMIT 2"
    ):
        host.post("Bale", row["service_key"], "end/send")


def meddle(host: Host, dice: random.Random, rounds: int) -> Counter[tuple[str, str, str]]:
    """Do all kinds of things to all kinds of invocations, those least that were done most."""
    done: Counter[tuple[str, str, str]] = Counter()
    accepted: Counter[str] = Counter()
    ours = ", ".join(f"'{name}'" for name in KINDS)
    for number in range(MOST_ROUNDS * rounds):
        if number >= rounds and not unmet(done):
            break
        give_work(host, host.key(f"meddled-{number}"))
        for states, most in (("status <> 'completed'", 16), ("status = 'completed'", 8)):
            rows = host.server.query(
                "SELECT id, target_service_name AS service, target_handler_name AS handler, status FROM sys_invocation"
                f" WHERE {states} AND target_service_name IN ({ours})"
            )
            choices = [(row, action) for row in rows for action in ACTIONS[states]]
            dice.shuffle(choices)
            choices.sort(key=lambda choice: done[choice[0]["service"], choice[0]["handler"], choice[1]])
            for row, action in choices[:most]:
                done[row["service"], row["handler"], action] += 1
                answer = host.client.patch(f"{host.server.admin_url}/invocations/{row['id']}/{action}")
                assert answer.status_code < 500, answer.text
                accepted[f"{action} {answer.status_code}"] += 1
    print(dict(sorted(accepted.items())))
    return done


def unmet(done: Counter[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """The kinds of invocations to which nothing was done."""
    expected = {(service, handler) for service, handlers in KINDS.items() for handler in handlers}
    return expected - {(service, handler) for service, handler, _ in done}


@contextmanager
def tidied(host: Host) -> Iterator[None]:
    """Resume what is paused, and end the messages to a chart that nobody serves, as a careful operator would."""
    over = threading.Event()

    def tidy() -> None:
        while not over.wait(0.3):
            left = host.server.query(
                "SELECT id, status FROM sys_invocation WHERE status = 'paused' OR (status <> 'completed'"
                " AND target_service_name = 'Scribe.relay')"
            )
            for row in left:
                verb = "resume" if row["status"] == "paused" else "kill"
                host.client.patch(f"{host.server.admin_url}/invocations/{row['id']}/{verb}")

    with ThreadPoolExecutor(1) as pool:
        tidying = pool.submit(tidy)
        try:
            yield
        finally:
            over.set()
            tidying.result()


def end(host: Host) -> None:
    with tidied(host):
        end_everything(host)


@pytest.mark.first
def test_no_action_of_an_operator_blocks_a_key_or_leaves_an_invocation_behind(
    hostile: Host, hostile_by_uvicorn: Host, hostile_by_granian: Host, scale: int, dice: random.Random
) -> None:
    hosts = [hostile, hostile_by_uvicorn, hostile_by_granian]
    pids = [host.served.process.pid for host in hosts]
    chances = [random.Random(dice.randrange(2**32)) for _ in hosts]

    with ThreadPoolExecutor(len(hosts)) as pool:
        done = sum(pool.map(meddle, hosts, chances, [ROUNDS * scale] * len(hosts)), Counter())
        list(pool.map(end, hosts))

    print(f"{done.total()} actions: {dict(Counter(action for *_, action in done.elements()))}")
    assert unmet(done) == set()
    assert [host.served.process.pid for host in hosts] == pids

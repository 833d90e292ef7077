"""R03, greeter: every greeting is counted once and answered with its number."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.testing import Rehearsal, RestateServer
from machines.greeter.machine import Greeter, ordinal
from tests.acceptance.applications import Application, edges, hosted, rehearsed, serve

pytestmark = pytest.mark.server


@dataclass
class Party(Application):
    """Greeters on one server."""

    def greet(self, name: str, key: str | None = None) -> Any:
        receipt = self.server.call("greeter", name, "greet", {"greeting": "Hi"}, idempotency_key=key)
        return f"{receipt['key']}: {receipt['reply']}"

    def ungreet(self, name: str) -> Any:
        return self.server.call("greeter", name, "ungreet")["reply"]

    def count(self, name: str) -> int:
        count: int = self.server.call("greeter", name, "snapshot")["data"]["count"]
        return count


@contextmanager
def opened(server: RestateServer, place: Path) -> Iterator[Party]:
    with serve("greeter", server, place) as served:
        yield Party("greeter", served, server)


party_awake, party_replaying, party = hosted("party", opened)


def said(name: str, number: int) -> str:
    return f"{name}: Hi, for the {ordinal(number)} time!"


def test_people_are_counted_separately_and_no_count_goes_below_zero(party: Party) -> None:
    assert [party.greet("mary"), party.greet("barack")] == [said("mary", 1), said("barack", 1)]

    assert [party.ungreet("mary"), party.ungreet("mary")] == [0, 0]
    assert (party.count("mary"), party.count("barack")) == (0, 1)


def test_each_of_fifty_concurrent_greetings_has_its_own_number(party: Party) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: party.greet("crowd"), range(50)))

    assert sorted(answers) == sorted(said("crowd", number) for number in range(1, 51))


def test_a_killed_service_forgets_no_greeting_and_counts_none_twice(party_awake: Party) -> None:
    asked: list[str] = []
    for number in range(60):
        asked.append(party_awake.server.send("greeter", "killed", "greet", {"greeting": "Hi"}))
        if number in (20, 40):
            party_awake.restart()

    with ThreadPoolExecutor(20) as pool:
        answers = [f"killed: {answer['reply']}" for answer in pool.map(party_awake.server.output, asked)]

    assert answers == [said("killed", number) for number in range(1, 61)]
    assert party_awake.count("killed") == 60


def test_a_repeated_greeting_is_counted_once_and_gets_the_same_answer(party: Party) -> None:
    assert [party.greet("echo", key="same") for _ in range(2)] == [said("echo", 1)] * 2

    assert party.count("echo") == 1


def test_the_chart_has_the_states_and_edges_of_the_story() -> None:
    assert set(edges(Greeter)) == {
        ("stranger", "greet", ("acquaintance",)),
        ("acquaintance", "greet", ()),
        ("acquaintance", "ungreet", ("stranger",)),
        ("acquaintance", "ungreet", ()),
        ("stranger", "ungreet", ()),
    }


def test_the_server_does_what_the_rehearsal_does(party: Party) -> None:
    rehearsal = Rehearsal(Greeter, key="told")
    replies = [f"told: {rehearsal.send('greet', {'greeting': 'Hi'}).reply}" for _ in range(2)]
    replies += [rehearsal.send("ungreet").reply for _ in range(3)]

    assert [party.greet("told"), party.greet("told"), *(party.ungreet("told") for _ in range(3))] == replies

    assert party.recorded("greeter", "told") == rehearsed(rehearsal)


def test_restate_has_completed_the_requests(party: Party) -> None:
    party.greet("asked")
    party.ungreet("asked")

    done = party.server.query(
        "SELECT target_handler_name, completion_result FROM sys_invocation WHERE status = 'completed'"
        " AND target_service_name = 'greeter' AND target_service_key = 'asked'"
    )
    assert sorted((row["target_handler_name"], row["completion_result"]) for row in done) == [
        ("greet", "success"),
        ("ungreet", "success"),
    ]


def test_the_commands_of_the_readme_do_what_it_says(party: Party) -> None:
    answers = party.run_readme({"greeter/mary/": "greeter/paige/"})

    assert [answer["reply"] for answer in answers] == [
        "Hi, for the 1st time!",
        "Hello, for the 2nd time!",
        1,
    ]

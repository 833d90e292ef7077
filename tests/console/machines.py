"""A machine as a server stores it, for tests of the console's pages: without a server."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from statemachine import State, StateChart

from durable_fsm import activity, after, chart_from, durable, event
from durable_fsm.admin.fleet import Counts, Group
from durable_fsm.admin.readings import Stopwatch
from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.machine_view import ShownMachine, shown_of
from durable_fsm.console.reading import DeployedChart, KnownChart
from durable_fsm.core.chart import Chart
from durable_fsm.core.interchange import chart_from_json, chart_to_json
from durable_fsm.core.redact import Redaction

CARD = "4000-1234-5678"
"""A value that the chart redacts."""


class Tea(BaseModel):
    leaves: str = "green"
    card: str = ""


async def boil(ctx: object, data: Tea) -> str:
    raise NotImplementedError


@durable(version="2", redact=("card",))
class Kettle(StateChart[Tea]):
    """Boils water for tea."""

    cold = State(initial=True)

    class hot(State.Compound):
        boiling = State(initial=True, invoke=activity(boil))
        steeping = State()
        done_invoke_boiling = boiling.to(steeping)
        error_invoke_boiling = boiling.to.itself(internal=True)

    drunk = State(final=True)

    fill = event(cold.to(hot), Tea)
    forget = after(timedelta(minutes=5), hot.to(cold))
    drink = hot.steeping.to(drunk, cond="is_ready")

    def is_ready(self, data: Tea) -> bool:
        return bool(data.leaves)


def without_code(definition: object) -> Chart:
    """A chart as a server carries it."""
    return chart_from_json(json.loads(json.dumps(chart_to_json(chart_from(definition)))))


KETTLE = without_code(Kettle)


def known(chart: Chart | None = KETTLE, *, redacts: bool = True) -> KnownChart:
    """The chart as the server knows it; without *redacts* it is unknown what is secret."""
    redaction = Redaction.of(KETTLE.hosting.redact) if redacts else None
    problem = "" if chart is not None else "it is served by a build that does not carry its chart"
    return KnownChart("Kettle", chart, problem, redaction, (DeployedChart("dp_1", "2030", chart),))


ENTRIES: list[dict[str, Any]] = [
    {"n": 1, "seq": 1, "at": 1_000, "event": "create", "seed": "inv_s", "data": {"leaves": "green", "card": "[redacted]"},
     "steps": [{"event": None, "entered": ["cold"]}]},
    {"n": 2, "seq": 2, "at": 61_000, "event": "fill", "seed": "inv_s", "in": {"leaves": "oolong"}, "by": "operator:ann",
     "set": [["/leaves", "oolong"]],
     "steps": [{"exited": ["cold"], "transitions": ["cold--fill--1"], "entered": ["hot", "boiling"]}]},
    {"n": 3, "seq": 3, "at": 62_000, "event": "error.invoke.boiling", "seed": "inv_s",
     "failure": {"type": "Cold", "message": f"card {CARD} is cold", "place": "shop/tea.py:7 in boil", "attempts": 2}},
    {"n": 4, "seq": 4, "at": 63_000, "event": "done.invoke.boiling", "seed": "inv_s",
     "steps": [{"exited": ["boiling"], "transitions": ["boiling--done.invoke.boiling--1"], "entered": ["steeping"]}]},
]  # fmt: skip


def snapshot(**members: Any) -> dict[str, Any]:
    """What the server has stored under the key."""
    tail = members.pop("entries", ENTRIES)
    found: dict[str, Any] = {
        "format": 1, "chart": "Kettle", "version": "2", "digest": KETTLE.digest, "life": "abc", "seq": 4,
        "status": "running", "configuration": ["steeping"], "data": {"leaves": "oolong", "card": CARD},
        "timers": [{"token": "abc.2.1", "event": "forget", "after_ms": 300_000, "state": "hot"}],
        "due": {"abc.2.1": 361_000}, "log": {"tail": tail, "pages": 0, "entries": len(tail)},
    }  # fmt: skip
    return found | members


def facts(key: str = "k-1", *, failing: dict[str, Any] | None = None, **members: Any) -> MachineFacts:
    texts = {("", "snapshot"): json.dumps(snapshot(**members))}
    if failing is not None:
        texts["callbacks", "failing abc.2.2 boil"] = json.dumps(failing)
    found = MachineFacts.of("Kettle", key, texts)
    assert found is not None
    return found


def shown(
    key: str = "k-1", *, n: int | None = None, hide_data: bool = False, chart: KnownChart | None = None, **members: Any
) -> ShownMachine:
    found = facts(key, **members)
    return shown_of(found, found.tail, chart or known(), n=n, hide_data=hide_data)


def counts(*groups: tuple[tuple[str, ...], str, str, int]) -> Counts:
    """Numbers of a fleet: leaves, status, version and how many."""
    return Counts("Kettle", tuple(Group(*group) for group in groups), 0, Stopwatch().read())

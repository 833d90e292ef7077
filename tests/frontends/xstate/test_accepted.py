"""XState itself accepts the JSON of the examples and cases, and finds the states and events in it that we find."""

from __future__ import annotations

from typing import Any

import pytest

from durable_fsm import chart_from
from durable_fsm.core.chart import ROOT, Chart, Kind
from machines.xstate import machine
from tests.acceptance.xstate.all_pairs import PAIRS
from tests.acceptance.xstate.families import alarm_bell, cashier, interview
from tests.diagram.node import XSTATE, Package, package

DRIVER = """
import { readFileSync } from 'node:fs';
import { createMachine } from 'xstate';
const kinds = node => Object.values(node.states).flatMap(one => [[one.key, one.type], ...kinds(one)]);
const runs = JSON.parse(readFileSync(0, 'utf8')).map(config => {
  const machine = createMachine(config);
  return { states: Object.fromEntries(kinds(machine.root)), events: machine.events.filter(event => !/^(xstate|error)[.]/.test(event)) };
});
console.log(JSON.stringify(runs));
"""
CONFIGS = {
    **{name: pair.from_json for name, pair in PAIRS.items()},
    **{str(chart_from(one).name): one for one in (interview, alarm_bell, cashier)},
    **{
        f"machines/{name}": getattr(machine, name)
        for name in ("Auth", "Authority", "Payment", "CounterV1", "CounterV2")
    },
}
TYPES = {Kind.SHALLOW_HISTORY: "history", Kind.DEEP_HISTORY: "history"}


@pytest.fixture(scope="module")
def by_xstate() -> dict[str, Any]:
    found: Package = package(*XSTATE)
    seen = found.run(DRIVER, given=[config.members() for config in CONFIGS.values()])
    return dict(zip(CONFIGS, seen, strict=True))


def by_us(chart: Chart, machine: str) -> dict[str, Any]:
    wrapped = machine in chart.states  # because it works itself, or has no states
    added = (ROOT, machine, "ended") if wrapped else (ROOT,)
    states = {id: TYPES.get(state.kind, state.kind.value) for id, state in chart.states.items() if id not in added}
    own = [name for name in chart.events if not name.startswith(("done.", "error.", "after_"))]
    return {"states": states, "events": sorted(own)}


@pytest.mark.parametrize("name", CONFIGS)
def test_xstate_finds_the_same_states_and_events(by_xstate: dict[str, Any], name: str) -> None:
    config = CONFIGS[name]
    seen = by_xstate[name]

    assert {**seen, "events": sorted(seen["events"])} == by_us(chart_from(config), str(config.members()["id"]))

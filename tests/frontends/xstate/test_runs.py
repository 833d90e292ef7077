"""Configurations of XState run here as they do in XState itself: the same states, the same actions, in the same order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from durable_fsm import XStateConfig, chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.core.events import Event, Origin
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.step import active_in, start, step
from durable_fsm.errors import EventRejected, UnknownEvent
from tests.diagram.node import XSTATE, Package, package
from tests.frontends.xstate.idioms import IDIOMS

Seen = list[dict[str, Any]]

DRIVER = """
import { readFileSync } from 'node:fs';
import { setup, initialTransition, transition, not, and, or } from 'xstate';
const combined = {
  not: ({ context, event }, { guard }, holds) => !holds(guard),
  and: ({ context, event }, { guards }, holds) => guards.every(holds),
  or: ({ context, event }, { guards }, holds) => guards.some(holds),
};
const holds = said => typeof said === 'string' ? said === 'yes' : combined[said.type]({}, said.params, holds);
const guards = { yes: () => true, no: () => false };
for (const name of ['not', 'and', 'or']) guards[name] = (_, params) => holds({ type: name, params });
const typeOf = said => {
  const [word, ...rest] = said.split(' ');
  if (word === 'after') return `xstate.after.${rest[0]}.machine.${rest[1]}`;
  if (word === 'done' || word === 'error') return `xstate.${word}.actor.${rest[0]}`;
  return said;
};
const runs = JSON.parse(readFileSync(0, 'utf8')).map(({ config, events }) => {
  const machine = setup({ guards }).createMachine({ id: 'machine', ...config });
  const look = ([state, actions]) => ({
    active: state.status === 'done' ? [] : state._nodes.filter(node => node.parent).map(node => node.key).sort(),
    did: actions.map(action => action.type).filter(type => !type.startsWith('xstate.')),
    ended: state.status === 'done',
  });
  let next = initialTransition(machine);
  const seen = [look(next)];
  for (const said of events) { next = transition(machine, next[0], { type: typeOf(said) }); seen.push(look(next)); }
  return seen;
});
console.log(JSON.stringify(runs));
"""


@pytest.fixture(scope="module")
def by_xstate() -> dict[str, Seen]:
    found: Package = package(*XSTATE)
    runs = found.run(DRIVER, given=[{"config": config, "events": events} for config, events in IDIOMS.values()])
    return dict(zip(IDIOMS, runs, strict=True))


def noting(name: str) -> Callable[..., None]:
    def note(data: dict[str, Any]) -> None:
        data["log"].append(name)

    return note


def names_in(said: Any, *members: str) -> set[str]:
    """The names under some members, anywhere in a configuration."""
    found: set[str] = set()
    if isinstance(said, dict):
        for member, value in said.items():
            values = value if isinstance(value, list) else [value]
            found |= {one for one in values if isinstance(one, str)} if member in members else names_in(value, *members)
    for item in said if isinstance(said, list) else ():
        found |= names_in(item, *members)
    return found


def read(config: dict[str, Any]) -> Chart:
    guards = {"yes": lambda: True, "no": lambda: False}
    written = repr(config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of these machines have ways that are never taken
        return chart_from(
            XStateConfig(
                {"id": "machine", "context": {"log": []}, **config},
                guards={name: guard for name, guard in guards.items() if f"'{name}'" in written},
                actions={name: noting(name) for name in names_in(config, "entry", "exit", "actions")},
                actors={"fetch_user": lambda: None},
            )
        )


def by_us(config: dict[str, Any], events: list[str]) -> Seen:
    chart = read(config)
    snapshot = start(chart, life="life", seed="seed").snapshot
    seen = [look(chart, snapshot, 0)]
    for said in events:
        before = len(snapshot.data["log"])
        # XState drops an event that nothing takes. Here its sender hears of it, and the machine does not move either.
        with suppress(UnknownEvent, EventRejected):
            snapshot = step(chart, snapshot, event_of(snapshot, said)).snapshot
        seen.append(look(chart, snapshot, before))
    return seen


def look(chart: Chart, snapshot: Snapshot, before: int) -> dict[str, Any]:
    ended = snapshot.status.value == "done"
    active = [id for id in active_in(chart, snapshot) if id != "machine"]  # the root, where that is a state of its own
    return {"active": [] if ended else sorted(active), "did": snapshot.data["log"][before:], "ended": ended}


def event_of(snapshot: Snapshot, said: str) -> Event:
    word, *rest = said.split(" ")
    match word:
        case "after":
            [timer] = snapshot.timers
            return Event(timer.event, origin=Origin.PLATFORM, token=timer.token)
        case "done" | "error":
            [running] = snapshot.activities
            return Event(f"{word}.invoke.{rest[0]}", origin=Origin.PLATFORM, token=running.token)
        case _:
            return Event(said)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_an_idiom_runs_as_in_xstate(by_xstate: dict[str, Seen], idiom: str) -> None:
    assert by_us(*IDIOMS[idiom]) == by_xstate[idiom]

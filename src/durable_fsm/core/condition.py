"""Conditions on a machine that a caller can wait for, as plain JSON.

{"state": "paid"}                          the state is active
{"tag": "open"}                            a state with this tag is active
{"status": "done"}                         the machine has this status
{"settled": true}                          no activity is under way and no event is deferred
{"taken": true}                            the event that came with it has been processed
{"any": [{"state": "paid"}, ...]}          one of several
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from durable_fsm.core.chart import ROOT, Chart
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.values import Json
from durable_fsm.errors import quoted

KINDS = ("state", "tag", "status", "settled", "taken", "any")
MOST = 20
"""Conditions in one `any`."""


def fault_in(chart: Chart, condition: Mapping[str, Json], *, with_event: bool, nested: bool = False) -> str | None:
    """The problem with a condition, as a sentence; None if there is none."""
    if len(condition) != 1 or (kind := next(iter(condition))) not in KINDS:
        return f"expected one of {quoted(KINDS)} to wait for."
    wanted = condition[kind]
    match kind:
        case "state":
            known = [id for id in chart.states if id != ROOT]
            return None if wanted in known else f"there is no state {_shown(wanted)}. There is {quoted(known)}."
        case "tag":
            tags = sorted({tag for state in chart.states.values() for tag in state.tags})
            there = f" There is {quoted(tags)}." if tags else ""
            return None if wanted in tags else f"no state has the tag {_shown(wanted)}.{there}"
        case "status":
            known = [status.value for status in Status]
            return None if wanted in known else f"there is no status {_shown(wanted)}. There is {quoted(known)}."
        case "any":
            return _fault_in_any(chart, wanted, with_event=with_event, nested=nested)
        case "taken" if not with_event:
            return "'taken' needs an event in the same request."
        case _:
            return None if wanted is True else f"'{kind}' is true or left out."


def _fault_in_any(chart: Chart, wanted: Json, *, with_event: bool, nested: bool) -> str | None:
    if nested or not isinstance(wanted, list) or not 1 <= len(wanted) <= MOST:
        return f"'any' is a list of 1 to {MOST} conditions, and none of them is an 'any'."
    faults = (
        fault_in(chart, one, with_event=with_event, nested=True)
        if isinstance(one, dict)
        else "a condition is an object."
        for one in wanted
    )
    return next((fault for fault in faults if fault is not None), None)


def is_condition(value: Json, *, nested: bool = False) -> bool:
    """Whether a stored value has the form that `meets` expects, whatever names the chart has."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(kind, wanted)] = value.items()
    if kind == "any":
        return not nested and isinstance(wanted, list) and all(is_condition(one, nested=True) for one in wanted)
    return isinstance(wanted, str) if kind in ("state", "tag", "status") else kind in KINDS


def meets(chart: Chart, machine: Snapshot, condition: Mapping[str, Json], token: str = "") -> bool:
    """Whether the machine meets the condition; *token* is that of the waiter's own deferred event, if any."""
    kind, wanted = next(iter(condition.items()))
    active = index_of(chart).active[machine.configuration]
    match kind:
        case "state":
            return wanted in active
        case "tag":
            return any(wanted in chart.states[id].tags for id in active)
        case "status":
            return machine.status.value == wanted
        case "settled":
            return not machine.deferred and not any(not running.failed for running in machine.activities)
        case "taken":
            return all(kept.token != token for kept in machine.deferred)
        case _:
            return any(meets(chart, machine, cast("dict[str, Json]", one), token) for one in cast("list[Json]", wanted))


def _shown(value: Json) -> str:
    return f"'{value}'" if isinstance(value, str) else repr(value)

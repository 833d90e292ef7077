"""Repairs by an operator: what each verb of a `RepairRequest` does to a machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from msgspec import UNSET

from durable_fsm import errors
from durable_fsm.core import repair
from durable_fsm.core.effects import Step
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json, changed
from durable_fsm.restate.http.requests import RepairRequest
from durable_fsm.restate.machine.storage import StoredMachine
from durable_fsm.restate.observability.places import place_behind
from durable_fsm.restate.observability.texts import said
from durable_fsm.restate.stored.deliveries import Delivery
from durable_fsm.restate.stored.snapshot import OperatorPause, tokens_of


def do_repair(turn: Turn, request: RepairRequest, parked: Mapping[str, Delivery]) -> str:
    """Let a turn do a repair; raises what the core raises."""
    chart, about, reason = turn.chart, request.about, request.reason.strip()
    note: Json = {request.verb: about, "reason": reason}
    seed, now = f"repair/{turn.machine.seq}", turn.time
    match request.verb:
        case "retry":
            turn.change("repair", lambda at: repair.retry(chart, at, str(about), seed=seed, now=now), note=note)
        case "skip":
            result = None if request.result is UNSET else request.result
            turn.change("repair", lambda at: repair.skip(chart, at, str(about), result, seed=seed, now=now), note=note)
        case "move":
            targets = cast("list[str]", about if isinstance(about, list) else [about])
            turn.change("repair", lambda at: repair.move(chart, at, targets, seed=seed, now=now), note=note)
        case "timer":
            timed: Json = {"timer": about, "after": str(request.delay), "reason": reason}
            after = request.delay
            turn.change(
                "repair", lambda at: repair.retime(chart, at, str(about), after, seed=seed, now=now), note=timed
            )
        case "pause" | "resume":
            turn.change("repair", lambda at: Step(changed(at, seq=at.seq + 1)), note=note)
            if request.verb == "resume" and parked:
                return _resend(turn, parked, reason, resumed=True)
        case "resend":
            return _resend(turn, parked, reason)
        case _:
            pass  # every transaction begins with a migration, if one is due
    return "repaired"


def paused_by(request: RepairRequest, stored: StoredMachine, at: int) -> StoredMachine:
    """Mark what is stored as paused or resumed, if the request says so; *at* is for people.

    Raises:
        NotRepairable: it is to be resumed, and is not paused.
    """
    if request.verb == "pause":
        return changed(stored, paused=OperatorPause(at, request.reason.strip()))
    if request.verb == "resume":
        if stored.machine is not None and stored.paused is None:
            raise errors.NotRepairable(chart=stored.chart.name, problem="the machine is not paused.")
        return changed(stored, paused=None)
    return stored


def _resend(turn: Turn, parked: Mapping[str, Delivery], reason: str, *, resumed: bool = False) -> str:
    """Deliver again what is parked; `parked` if any of it fails again, and the reply says why."""
    live = tokens_of(turn.machine)
    found = [delivery for token, delivery in sorted(parked.items()) if token in live]
    if not found and resumed:
        return "repaired"
    if not found:
        raise errors.NotRepairable(chart=turn.chart.name, problem="nothing is parked.")
    for delivery in found:
        turn.deliver(delivery.event, note={"resend": True, "reason": reason})
    if not turn.parked:
        return "repaired"
    turn.reply = [
        {"event": event.name, "type": type(error).__name__, "reason": said(error.what), "place": place_behind(error)}
        for event, error in turn.parked
    ]
    return "parked"

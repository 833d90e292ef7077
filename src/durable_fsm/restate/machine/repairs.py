"""What an operator asks for by hand, as it comes over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from durable_fsm import errors
from durable_fsm.core import repair
from durable_fsm.core.turn import Turn
from durable_fsm.core.values import Json
from durable_fsm.restate.http.requests import Delivery, read
from durable_fsm.restate.machine.storage import tokens_of

MAX_REASON = 1_000
"""Longest reason in characters: the machine carries it along for a while."""

VERBS = ("retry", "skip", "resend", "move", "migrate")

SHAPE = (
    'expected {"reason": "…"} with one of "retry": activity, "skip": activity (and "result"), "resend": true,'
    ' "move": state or [states], "migrate": true.'
)


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """One repair: its verb, what it is about, and why."""

    verb: str
    about: Json
    result: Json
    reason: str

    @classmethod
    def decode(cls, chart: str, body: bytes) -> RepairRequest:
        """Read `{"retry": "charging", "reason": "the bank is back"}` and the like.

        Raises:
            MalformedInput: it is something else.
        """
        request = read(chart, "repair", body)
        if not isinstance(request, dict):
            raise errors.MalformedInput(chart=chart, handler="repair", problem=SHAPE)
        verbs = [verb for verb in VERBS if verb in request]
        known = {*verbs, "reason", *(["result"] if verbs == ["skip"] else [])}
        reason = request.get("reason")
        if len(verbs) != 1 or request.keys() - known or not _fits(verbs[0], request[verbs[0]]):
            raise errors.MalformedInput(chart=chart, handler="repair", problem=SHAPE)
        if not isinstance(reason, str) or not reason.strip():
            problem = "a repair needs a reason: it is kept with the machine's history."
            raise errors.MalformedInput(chart=chart, handler="repair", problem=problem)
        if len(reason) > MAX_REASON:
            problem = f"a reason has {MAX_REASON:,} characters at most."
            raise errors.MalformedInput(chart=chart, handler="repair", problem=problem)
        return cls(verbs[0], request[verbs[0]], request.get("result"), reason.strip())

    def act(self, turn: Turn, parked: Mapping[str, Delivery]) -> str:
        """Let a turn do it; raises what the core raises."""
        chart = turn.chart
        note: Json = {self.verb: self.about, "reason": self.reason}
        seed = f"repair/{turn.machine.seq}"
        match self.verb:
            case "retry":
                turn.change("repair", lambda at: repair.retry(chart, at, str(self.about), seed=seed), note=note)
            case "skip":
                turn.change("repair", lambda at: repair.skip(chart, at, str(self.about), self.result), note=note)
            case "move":
                targets = self.about if isinstance(self.about, list) else [self.about]
                names = cast("list[str]", targets)
                turn.change("repair", lambda at: repair.move(chart, at, names, seed=seed), note=note)
            case "migrate":
                pass  # done already: every turn begins with that
            case _:
                self._resend(turn, parked)
        return "repaired"

    def _resend(self, turn: Turn, parked: Mapping[str, Delivery]) -> None:
        machine = turn.machine
        waiting = tokens_of(machine)
        there = [delivery for token, delivery in sorted(parked.items()) if token in waiting]
        if not there:
            raise errors.NotRepairable(chart=turn.chart.name, problem="nothing is parked.")
        for delivery in there:
            turn.deliver(delivery.event, note={"resend": True, "reason": self.reason})


def _fits(verb: str, about: Json) -> bool:
    match verb:
        case "resend" | "migrate":
            return about is True
        case "move" if isinstance(about, list):
            return bool(about) and all(isinstance(target, str) for target in about)
        case _:
            return isinstance(about, str)

"""Previews: the outcome of an event, before it is sent.

With the author's code the answer is exact: the turn that the host would run is run here, and nothing of it is kept. Without,
the chart says which transitions may be taken, and what their guards are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from durable_fsm.console.describing import Describer
from durable_fsm.console.formatting import listed
from durable_fsm.console.redaction import Redactor, compact
from durable_fsm.core.changes import changes
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import members_of
from durable_fsm.core.effects import (
    Cancel,
    Effect,
    Outcome,
    Post,
    Send,
    StartActivity,
    StartMachine,
    StopActivity,
    StopMachine,
)
from durable_fsm.core.events import Event
from durable_fsm.core.program import index_of
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Turn
from durable_fsm.core.upgrade import upgrade
from durable_fsm.core.values import Json
from durable_fsm.diagram.words import duration
from durable_fsm.errors import DurableFSMError

EXACT, BY_CHART = "exact", "by chart"

MOST_CHANGES = 20
LONGEST = 120


@dataclass(frozen=True)
class Preview:
    """The outcome of an event that is not sent yet.

    Attributes:
        kind: `EXACT`, or `BY_CHART` where guards and actions are not known.
        leaves: the states in which the machine would be; empty if that is not certain.
        lines: what else would happen, in words.
        changes: what would change in the data: paths and values.
        refused: why the event would not be taken; empty if it would, or might.
    """

    kind: str
    leaves: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    changes: tuple[tuple[str, str], ...] = ()
    refused: str = ""

    @property
    def is_taken(self) -> bool:
        return not self.refused


def preview_of(
    code: Chart | None,
    describer: Describer,
    stored: Snapshot,
    event: str,
    payload: Json,
    redactor: Redactor,
    now: datetime,
    *,
    paused: bool = False,
) -> Preview:
    """The outcome of an event; *code* is the chart with its author's code, if it is here."""
    if code is None:
        return by_chart(describer, stored, event)
    return _cleaned(exact(code, Snapshot(*members_of(stored)), event, payload, now, paused=paused), stored, redactor)


def exact(
    chart: Chart, machine: Snapshot, event: str, payload: Json, now: datetime, *, paused: bool = False
) -> tuple[Preview, Snapshot]:
    """Run the turn of an event; what is computed here is what the host would save. Also the machine after it."""
    try:
        taken = upgrade(chart, machine)
        turn = Turn(taken.chart, taken.machine, seed="preview", now=now if taken.chart.reads_clock else None)
        if taken.upgrade is not None:
            turn.migrate(taken.upgrade)
        turn.paused = paused
        before = turn.machine
        outcome = turn.take(Event(event, payload))
        call = turn.next_call()
    except DurableFSMError as error:
        return Preview(EXACT, refused=error.what), machine
    after = turn.machine
    lines = [] if taken.upgrade is None else [f"migrates {machine.version} → {after.version}"]
    if outcome is not Outcome.TAKEN:
        lines.append({Outcome.DEFERRED: "is kept for later", Outcome.IGNORED: "is ignored"}.get(outcome, str(outcome)))
    lines += _words(turn.take_effects(), before, after)
    if call is not None:
        lines.append(f"begins {call.id}, and the answer waits for it")
    lines += [f"'{error.callback}' fails: {error.problem}" for error in turn.caught]
    if after.status is not before.status:
        lines.append({Status.DONE: "the machine ends", Status.FAILED: "the machine fails"}.get(after.status, "it runs"))
    if turn.reply is not None:
        lines.append(f"answers {compact(turn.reply)}")
    return Preview(EXACT, after.configuration, tuple(dict.fromkeys(lines))), after


def _cleaned(found: tuple[Preview, Snapshot], before: Snapshot, redactor: Redactor) -> Preview:
    """A preview that may be shown."""
    preview, after = found
    made: list[tuple[str, str]] = []
    if redactor.is_open and preview.is_taken:
        for path, *value in changes(redactor.value(before.data), redactor.value(after.data)):
            made.append((str(path) or "/", compact(value[0])[:LONGEST] if value else "removed"))
    lines = tuple(filter(None, (redactor.text(line) or _without_text(line) for line in preview.lines)))
    refused = preview.refused and (redactor.text(preview.refused) or "it would be refused.")
    return Preview(preview.kind, preview.leaves, lines, tuple(made[:MOST_CHANGES]), refused)


def _without_text(line: str) -> str:
    """A line where no text may be shown: those that quote nothing of the author's code."""
    return "" if line.startswith(("answers ", "'")) else line


def _words(effects: Sequence[Effect], before: Snapshot, after: Snapshot) -> Iterator[str]:
    names = {one.token: one.id for machine in (before, after) for one in machine.activities}
    names |= {one.token: one.id for machine in (before, after) for one in machine.stopping}
    names |= {one.token: one.name or one.id for machine in (before, after) for one in machine.machines}
    timers = {one.token: one for machine in (before, after) for one in machine.timers}
    for effect in effects:
        match effect:
            case StartActivity():
                yield f"undoes {effect.undo.id}" if effect.undo is not None else f"begins {effect.id}"
            case StopActivity():
                yield f"stops {names.get(effect.token, 'an activity')}"
            case Send():
                timer = timers.get(effect.token)
                when = "" if effect.at is not None else f" in {duration(effect.after)}"
                if timer is None:
                    continue
                if timer.activity is not None:
                    continue  # the deadline of an activity
                yield (
                    f"timer {timer.event} starts{when}"
                    if timer.to is None
                    else f"sends {timer.event} to {timer.to}{when}"
                )
            case Cancel():
                timer = timers.get(effect.token)
                if timer is not None and timer.activity is None:
                    yield f"timer {timer.event} ends"
            case StartMachine():
                yield f"starts {effect.chart.name}"
            case StopMachine():
                yield f"stops {names.get(effect.token, 'a machine')}"
            case Post():
                yield f"sends {effect.event} to {names.get(effect.to, effect.to)}"
            case _:
                pass
    ended = [one for one in before.undo if one not in after.undo]
    yield from (f"{one.id} is undone" for one in ended)


def by_chart(describer: Describer, stored: Snapshot, event: str) -> Preview:
    """The outcome of an event as far as the chart alone tells it."""
    chart = describer.chart
    if stored.status is not Status.RUNNING:
        return Preview(BY_CHART, refused=f"the machine is {stored.status}.")
    if chart is None or any(leaf not in chart.states for leaf in stored.configuration):
        return Preview(BY_CHART, lines=("the chart of this machine is not known here",))
    candidates, stances = index_of(chart).stances[stored.configuration, event]
    edges = [edge for of_leaf in candidates for edge in of_leaf]
    if not edges:
        words = sorted(
            {"defer": "is kept for later", "ignore": "is ignored"}.get(one.value, one.value) for one in stances
        )
        return (
            Preview(BY_CHART, lines=tuple(words))
            if words
            else Preview(BY_CHART, refused=why_not(chart, stored.configuration, event))
        )
    is_certain = len(edges) == 1 and not edges[0].guards and not edges[0].validators
    lines: list[str] = []
    for edge in edges:
        to = listed(edge.targets) or "stays where it is"
        guards = " and ".join(guard.label for guard in edge.guards)
        lines.append(f"→ {to}" + (f" if {guards}" if guards else ""))
        for target in edge.targets:
            lines += [describer.begins(activity) for activity in chart.states[target].activities]
            lines += [f"timer {timer.event} starts" for timer in chart.states[target].timers]
    return Preview(BY_CHART, edges[0].targets if is_certain else (), tuple(dict.fromkeys(lines)))


def why_not(chart: Chart, leaves: Sequence[str], event: str) -> str:
    """Why a machine does not accept an event where it is."""
    takers = dict.fromkeys(edge.source for edge in chart.transitions if event in edge.events)
    somewhere = f"; accepted in {listed(takers)}" if takers else ""
    return f"not accepted in {listed(leaves)}{somewhere}."

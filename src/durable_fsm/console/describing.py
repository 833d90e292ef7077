"""The words for the past of a machine, and for the things it waits for, from its chart: without the author's code."""

from __future__ import annotations

from collections.abc import Iterable

from durable_fsm.admin.past import EntryRecord, MomentKind, PastMoment, leaves_in
from durable_fsm.console.formatting import listed
from durable_fsm.core.chart import ROOT, Activity, Chart, Timer
from durable_fsm.core.program import index_of
from durable_fsm.diagram.words import actions_of, timed

MOST_EFFECTS = 6


class Describer:
    """The words of one chart; without a chart, ids have to do."""

    def __init__(self, chart: Chart | None) -> None:
        self.chart = chart
        self._edges = {} if chart is None else {edge.key: edge for edge in chart.transitions}
        states = () if chart is None else chart.states.values()
        self._timers: dict[str, Timer] = {timer.event: timer for state in states for timer in state.timers}

    # ── states ────────────────────────────────────────────────────────────────────────────────────────────────────

    def name(self, state: str) -> str:
        """The display name of a state."""
        known = None if self.chart is None else self.chart.states.get(state)
        return state if known is None else known.name or known.id

    def path(self, leaf: str) -> str:
        """A state with those around it: `Payment › Charging`."""
        if self.chart is None or leaf not in self.chart.states:
            return leaf
        ancestors = [id for id in index_of(self.chart).ancestors[leaf] if id != ROOT]
        return " › ".join(self.name(id) for id in (*reversed(ancestors), leaf))

    def leaves(self, active: Iterable[str]) -> tuple[str, ...]:
        return leaves_in(self.chart, active)

    # ── moments ───────────────────────────────────────────────────────────────────────────────────────────────────

    def event(self, moment: PastMoment) -> str:
        """The event for a person: `checkout`, `charging done`, `after 15 min`."""
        return self.event_name(moment.event, moment.record)

    def event_name(self, event: str, record: EntryRecord | None = None) -> str:
        if event in self._timers:
            return timed(self._timers[event])
        for prefix, word in (("done.invoke.", "done"), ("error.invoke.", "failed"), ("done.state.", "done")):
            if event.startswith(prefix):
                return f"{event.removeprefix(prefix)} {word}"
        if event == "create":
            return "created"
        if event == "migrated" and record is not None and isinstance(record.get("note"), dict):
            note: EntryRecord = record["note"]
            return f"migrated {note.get('from', '?')} → {note.get('to', '?')}"
        return event

    def way(self, moment: PastMoment) -> tuple[str, str]:
        """Which innermost states it left, and which it entered; the same twice if it stayed."""
        before, after = self.leaves(moment.before), self.leaves(moment.after)
        left = [leaf for leaf in before if leaf not in after]
        entered = [leaf for leaf in after if leaf not in before] or [leaf for leaf in after if leaf in moment.entered]
        if not moment.moved:
            here = listed(after)
            return here, here
        return listed(left or before), listed(entered or after)

    def effects(self, moment: PastMoment) -> tuple[str, ...]:
        """The effects that the author declared for it: actions, activities that begin, timers that start."""
        if self.chart is None:
            return ()
        found: list[str] = []
        for state in moment.exited:
            known = self.chart.states.get(state)
            found += [action.name for action in known.exit] if known else []
        for key in moment.taken:
            edge = self._edges.get(key)
            found += actions_of(edge) if edge else []
        for state in moment.entered:
            known = self.chart.states.get(state)
            if known is None:
                continue
            found += [action.name for action in (*known.entry, *known.done)]
            found += [self.begins(activity) for activity in known.activities]
            found += [f"starts {child.name}" for child in known.machines if not child.on_demand]
            found += [f"timer {timed(timer)}" for timer in known.timers]
        return tuple(dict.fromkeys(found))[:MOST_EFFECTS]

    @staticmethod
    def begins(activity: Activity) -> str:
        if activity.undoes is not None:
            return f"undoes {activity.undoes or 'everything'}"
        return f"begins {activity.name}"

    # ── what it waits for ─────────────────────────────────────────────────────────────────────────────────────────

    def timer(self, event: str) -> str:
        """How a timer was declared: `after 15 min`."""
        known = self._timers.get(event)
        return "" if known is None else timed(known)

    def leads_to(self, state: str | None, event: str) -> str:
        """Where an event takes a machine that is in this state, as far as that is certain."""
        if self.chart is None or state is None or state not in self.chart.states:
            return ""
        around = (state, *index_of(self.chart).ancestors[state])
        targets = {
            listed(edge.targets) or "stays"
            for edge in self.chart.transitions
            if edge.source in around and event in edge.events
        }
        return targets.pop() if len(targets) == 1 else ""

    def sendable(self, leaves: tuple[str, ...]) -> dict[str, list[str]]:
        """The public events that some transition takes in these states, each with its guards, or none."""
        if self.chart is None or any(leaf not in self.chart.states for leaf in leaves):
            return {}
        index, found = index_of(self.chart), dict[str, list[str]]()
        for event in self.chart.public_events:
            candidates, stances = index.stances[leaves, event]
            edges = [edge for of_leaf in candidates for edge in of_leaf]
            if edges:
                guards = [", ".join(guard.label for guard in edge.guards) for edge in edges]
                found[event] = [] if "" in guards else list(dict.fromkeys(guards))
            elif stances:
                found[event] = sorted(
                    f"{stance.value}red" if stance.value == "defer" else "ignored" for stance in stances
                )
        return found

    def possible_edges(self, leaves: tuple[str, ...]) -> frozenset[str]:
        """Keys of the transitions that a public event may take now."""
        if self.chart is None or any(leaf not in self.chart.states for leaf in leaves):
            return frozenset()
        index = index_of(self.chart)
        found = [index.candidates[leaves, event] for event in self.chart.public_events]
        return frozenset(edge.key for candidates in found for of_leaf in candidates for edge in of_leaf)


CLASS_OF = {
    MomentKind.EVENT: "event",
    MomentKind.TIMER: "after",
    MomentKind.DONE: "done",
    MomentKind.ERROR: "error",
    MomentKind.HOST: "host",
}
"""The class by which a page colours an event."""

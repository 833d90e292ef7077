"""The SCXML algorithm: one macrostep, from an event to the next stable configuration.

A chart is a tree of states. The *configuration* is the set of active states; it is closed upwards, so the active leaves
say it all, and the snapshot stores only those. A compound state has exactly one active child, a parallel state all of
its regions.

A *microstep* takes one set of transitions. Each active leaf asks itself and then its ancestors for the first transition
that its event selects and whose guards pass; that is `select_transitions`. In parallel regions several may be
enabled at once. Two of them conflict if they would leave the same state: the inner one wins, then the first in document
order. The states that remain to be left and entered follow from the configuration, the transitions and the history
alone, so `Program.plan` works them out once and keeps them. Then, and only then, the author's code runs, in this order:

    before      of the transitions, while everything is still active; one that raises stops the microstep
    exit        of the states that are left, from the inside out; their timers, activities and machines end
    actions     of the transitions, in document order
    entry       of the states that are entered, from the outside in; their timers start
    after       of the transitions, when everything has been entered

A *macrostep* begins with the event from outside. After each microstep, transitions without an event come first, then the
events that the machine raised itself, in order (`advance`). When there is neither, the configuration is stable: activities
and machines of the states that were entered and are *still* active begin (`invocation.invoke`). That they begin last is
why a state which is only passed through starts nothing. The machine ends when a final child of the root is entered, or
all regions of a parallel state at the top are final.

An exception of a callback becomes the event `error.execution`, and so does a failure that no transition handles. If no
transition accepts that event either, the whole macrostep fails and is discarded; a failure of outside work, which cannot be discarded, makes
the machine `failed`. A macrostep that has not come to an end after `MICROSTEPS` microsteps never will, and fails.

The functions are named after the procedures of the algorithm: https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from functools import partial
from typing import NoReturn

from durable_fsm.core import callbacks, invocation, timers
from durable_fsm.core.chart import ROOT, Chart, Kind, State, Transition
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import Microstep, Outcome, Reply, Step
from durable_fsm.core.events import ERROR, UNREACHABLE, Event, Failure, Origin
from durable_fsm.core.index import Candidates, Stance
from durable_fsm.core.plan import Plan
from durable_fsm.core.requests import Requests
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import Snapshot, Status, WorkflowAnswer
from durable_fsm.core.values import Json, Misfit, changed
from durable_fsm.core.working import Working
from durable_fsm.errors import SnapshotUnreadable

MICROSTEPS = 1_000
"""Microsteps of one macrostep."""

OTHERS = (Origin.EXTERNAL, Origin.SOURCE, Origin.MACHINE)
"""Senders that get an error if no transition accepts their event."""

NONE: frozenset[Stance] = frozenset()


class Macrostep(Working):
    """One macrostep under way."""

    def __init__(self, chart: Chart, before: Snapshot, data: object, event: Event) -> None:
        super().__init__(chart, before, event)
        active, requests = self.active, partial(Requests, self)
        self.scope = Scope(chart, event, data, requests, before, active, active, active, event.at, event.seed)

    @classmethod
    def resume(cls, chart: Chart, snapshot: Snapshot, event: Event) -> Macrostep:
        """Continue a machine where its snapshot left it.

        Raises:
            SnapshotUnreadable: the stored data does not fit the chart's data type.
        """
        try:
            data = chart.data.load(snapshot.data)
        except Misfit as error:
            problem = f"its data does not fit {chart.data.name}: {error.problem} at {error.path}."
            raise SnapshotUnreadable(chart=chart.name, problem=problem) from error
        return cls(chart, snapshot, data, event)

    # ── macrosteps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self) -> Outcome | None:
        """Run the macrostep of the event; None if no transition accepts it, and the chart does not say what then.

        Raises:
            Refused: a validator does not let it in.
        """
        forwarded = bool(self.machines) and invocation.forward(self)
        event = self.event = self.typed(self.event)
        candidates, stances = None, NONE
        if self.index.has_stances and event.origin in OTHERS:
            candidates, stances = self.index.stances[self.leaves, event.name]
        enabled = self.select(event, candidates)
        if enabled is not None:
            self.microstep(enabled, event)
        elif self.queue or (isinstance(event.payload, Failure) and not self.detached and event.name != UNREACHABLE):
            self.unhandled(event)
        elif Stance.DEFER in stances:
            return Outcome.DEFERRED
        elif Stance.IGNORE in stances:
            return Outcome.IGNORED
        elif not forwarded:
            return None
        self.complete()
        return Outcome.TAKEN

    def select(self, event: Event | None, candidates: Candidates | None = None) -> Plan | None:
        """The plan for an event, or without one; None if no transition is enabled.

        *candidates* are those of the index, unless the caller has found them.
        """
        if event is not None:
            self.scope.event = event
        if candidates is None:
            candidates = self.index.candidates[self.leaves, None if event is None else event.name]
        enabled = self.select_transitions(candidates)
        return self.program.plan(self.leaves, self.history, enabled) if enabled else None

    def select_transitions(self, candidates: Candidates) -> list[Transition]:
        """The enabled transitions among the candidates; at most one for each leaf, in order."""
        enabled: dict[int, Transition] = {}
        refused: set[int] = set()
        for of_leaf in candidates:
            for transition in of_leaf:
                key = id(transition)
                if key in enabled:  # asked already, for a leaf in another region
                    break
                if key in refused:
                    continue
                is_free = not transition.guards and not transition.validators
                if is_free or callbacks.passes(self, transition):
                    enabled[key] = transition
                    break
                refused.add(key)
        return list(enabled.values())

    def begin(self) -> None:
        """Enter the initial states."""
        initial = self.index.initial[self.chart.root.id]
        self.microstep(self.program.plan((), self.history, [initial]), None)
        self.complete()

    def follow(self) -> Step:
        """Take what was raised, if anything was, without an event of the macrostep's own."""
        if self.queue:
            self.complete()
        return self.finish(Outcome.TAKEN)

    def complete(self) -> None:
        """Take eventless transitions and raised events until nothing is left, then begin activities and machines."""
        rounds = 0
        while self.status is Status.RUNNING:
            while self.status is Status.RUNNING and self.advance():
                rounds += 1
                if rounds >= MICROSTEPS:
                    self.stuck()
            if self.status is Status.RUNNING and self.regions_are_final():
                self.status = Status.DONE
            if self.status is Status.RUNNING:
                if self.to_invoke:
                    invocation.invoke(self)
                if self.held:
                    Requests(self).send_held()
                if not self.queue:
                    return
        if self.chart.policies.scxml:
            self.leave_last_states()
        while self.queue:  # the machine ended before it could take them; that must not hide a failure
            self.unhandled(self.queue.popleft())
        invocation.end_all(self)
        timers.arm_end(self)

    def advance(self) -> bool:
        """Take eventless transitions, or else one raised event; False if there is neither."""
        enabled = self.select(None) if self.index.has_eventless else None
        if enabled is not None:
            self.microstep(enabled, None)
            return True
        if not self.queue:
            return False
        event = self.queue.popleft()
        enabled = self.select(event)
        if enabled is not None:
            self.microstep(enabled, event)
        else:
            self.unhandled(event)
        return True

    def unhandled(self, event: Event) -> None:
        """An event that no transition accepts is dropped, except where that would hide a failure.

        An undelivered message is not a failure of this machine.
        """
        if not isinstance(event.payload, Failure) or self.chart.policies.scxml or event.name == UNREACHABLE:
            return
        if event.name != ERROR:
            self.enqueue(Event(ERROR, event.payload, Origin.INTERNAL))
        elif event.cause is not None:
            without = self.index.leaves(self.active)
            raise self.action_error(event.payload.source, event.payload.message, without) from event.cause
        else:
            self.status = Status.FAILED
            self.failure = event.payload
            if self.answered is not None and self.event.payload is event.payload:
                self.activities[self.answered.token] = changed(self.answered, parked=False, failed=True)
            if self.heard is not None and self.event.payload is event.payload:
                self.machines[self.heard.token] = changed(self.heard, failed=True)

    def stuck(self) -> NoReturn:
        taken = ", ".join(key for microstep in self.trace[-1:] for key in microstep.transitions)
        last = f"; the last took {taken}" if taken else ""
        raise self.action_error("the macrostep", f"it did not end after {MICROSTEPS} microsteps{last}.")

    # ── microsteps ────────────────────────────────────────────────────────────────────────────────────────────────────

    def microstep(self, plan: Plan, event: Event | None) -> None:
        """Leave, act, enter. A failure before anything was left stops the transitions."""
        name = None if event is None else event.name
        if self.prepare(plan):
            scope = self.scope
            scope.previous, scope.coming = plan.before, plan.after
            self.exit_states(plan)
            self.execute_transition_content(plan)
            self.enter_states(plan)
            scope.previous = scope.coming
            self.conclude(plan)
            self.trace.append(Microstep(name, plan.exited, plan.keys, plan.entered, tuple(self.raised)))
        else:
            self.trace.append(Microstep(name, raised=tuple(self.raised)))
        self.raised.clear()

    def prepare(self, plan: Plan) -> bool:
        """Run what precedes the transitions; False as soon as some of it fails."""
        for transition in plan.transitions:
            if transition.before:
                callbacks.at_transition(self.scope, transition)
                if not all(callbacks.succeeds(self, callback) for callback in transition.before):
                    return False
        return True

    def execute_transition_content(self, plan: Plan) -> None:
        """Run the actions; their results are replies to the sender."""
        for transition in plan.transitions:
            if transition.actions:
                callbacks.at_transition(self.scope, transition)
                for value in callbacks.values(self, transition.actions):
                    self.effects.append(Reply(value))

    def conclude(self, plan: Plan) -> None:
        """Run what follows when everything has been entered."""
        for transition in plan.transitions:
            if transition.after:
                if transition.targets:
                    callbacks.at_entry(self.scope, self.index.states[transition.targets[0]], transition)
                else:
                    callbacks.at_transition(self.scope, transition)
                callbacks.execute(self, transition.after)

    def exit_states(self, plan: Plan) -> None:
        if plan.memories:
            self.history = dict(sorted({**self.history, **dict(plan.memories)}.items()))
        for departure in plan.departures:
            state = departure.state
            if state.exit:
                callbacks.at_exit(self.scope, state, departure.cause)
                callbacks.execute(self, state.exit)
            if self.timers or self.activities or self.machines or self.to_invoke or self.finished:
                invocation.end_of(self, state.id)
            self.active.discard(state.id)
        self.leaves = plan.leaves

    def enter_states(self, plan: Plan) -> None:
        for arrival in plan.arrivals:
            state = arrival.state
            self.active.add(state.id)
            if state.activities or state.machines:
                self.to_invoke.add(state.id)
            if state.entry:
                callbacks.at_entry(self.scope, state, arrival.cause)
                callbacks.execute(self, state.entry)
            for default in arrival.defaults:
                if default.actions:
                    callbacks.at_transition(self.scope, default)
                    callbacks.execute(self, default.actions)
            for timer in state.timers:
                timers.start(self, state.id, timer)
            if state.kind is Kind.FINAL:
                callbacks.at_entry(self.scope, state, arrival.cause)
                self.enter_final(state)

    def enter_final(self, state: State) -> None:
        """Raise the done events; a final child of the root ends the machine."""
        parent, *above = self.index.ancestors[state.id]
        ends = [callbacks.attempt(self, callback, _end) for callback in state.done]
        failure = next((end for end in ends if isinstance(end, Failure)), None)
        if parent == ROOT:
            self.status = Status.DONE
            self.failure = failure
            if failure is None:
                self.output = _merged([end for end in ends if end is not None and not isinstance(end, Failure)])
            return
        output = _merged([plain(end) for end in ends if end is not None])
        self.done(parent, output, failure)
        if self.index.states[above[0]].kind is Kind.PARALLEL and self.is_in_final_state(above[0]):
            self.done(above[0], output, failure)

    def done(self, id: str, output: Json, failure: Failure | None) -> None:
        """A state around a final one is done: say so, and answer the workflow if that waits for it."""
        if id == self.chart.hosting.workflow:
            self.answer = WorkflowAnswer(output) if failure is None else WorkflowAnswer(failure=failure)
        self.enqueue(Event(f"done.state.{id}", output, Origin.INTERNAL))

    def is_in_final_state(self, id: str) -> bool:
        regions = self.index.regions[id]
        if self.index.states[id].kind is Kind.PARALLEL:
            return all(self.is_in_final_state(region) for region in regions)
        return any(child in self.active and self.index.states[child].kind is Kind.FINAL for child in regions)

    def regions_are_final(self) -> bool:
        """A parallel state at the top ends the machine when all its regions are final, as a final state does."""
        parallels = self.index.parallels_at_top
        return bool(parallels) and any(id in self.active and self.is_in_final_state(id) for id in parallels)

    def leave_last_states(self) -> None:
        """Run the exit actions of a machine that ends; its states stay in the configuration, to be seen."""
        for id in self.index.in_order(self.active)[::-1]:
            state = self.index.states[id]
            callbacks.at_exit(self.scope, state, Transition("", id))
            callbacks.execute(self, state.exit)


def _end(value: object) -> Json | Failure:
    """The result of a final state of the root: output, or a failure with which the machine ends."""
    return changed(value, metadata=plain(value.metadata)) if isinstance(value, Failure) else plain(value)


def _merged(values: list[Json]) -> Json:
    """The output of a final state: the members of all objects, or the last value if one is not an object."""
    merged: dict[str, Json] = {}
    for value in values:
        if not isinstance(value, dict):
            return values[-1]
        merged.update(value)
    return merged or None

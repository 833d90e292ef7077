"""The machine while a macrostep runs: what its snapshot holds, and what has changed since.

Nothing here decides anything. `timers`, `saga` and `invocation` change the machine, `callbacks` runs the author's code
on it, and `macrostep` says when.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple, cast

from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import Effect, Microstep, Outcome, Step
from durable_fsm.core.events import FROM_OUTSIDE, Event, Failure
from durable_fsm.core.program import program_of
from durable_fsm.core.scope import Scope
from durable_fsm.core.snapshot import ChildMachine, Running, Snapshot
from durable_fsm.core.values import Json, Misfit, TypeRaised, ValueType, changed
from durable_fsm.errors import ActionError, InvalidPayload


class HeldSend(NamedTuple):
    """A message to a child that has not begun yet, as a callback asked for it."""

    event: str
    payload: Json
    after: timedelta
    id: str | None
    to: str
    replaces: bool


class Working:
    """One machine under one macrostep. It is discarded when the macrostep fails: the snapshot is still the machine.

    Attributes:
        before: the snapshot that the macrostep began with.
        event: what the macrostep takes; a delivery gets its name and payload here before transitions are chosen.
        scope: what callbacks see.
        leaves, active: the active leaves in document order; all active states.
        timers, activities, machines, stopping: what the machine waits for, by token.
        queue: events that were raised and are still to be processed.
        to_invoke: states that were entered, and whose activities and machines begin when the macrostep ends.
        held: messages to machines that begin when the macrostep ends.
        raised: names of the events that were raised since the last microstep.
        refusals: guards that said no, for the sender.
        caught: exceptions of callbacks that became `error.execution`, for the log.
        refused: the reasons why deferred events are turned away, by token.
        answered: the activity whose outcome the event is; `heard`, the child whose end it is.
        detached: whether that activity belongs to no state.
    """

    scope: Scope

    def __init__(self, chart: Chart, before: Snapshot, event: Event) -> None:
        program = program_of(chart)
        self.chart = chart
        self.index = program.index
        self.program = program
        self.before = before
        self.event = event
        self.leaves = before.configuration
        self.active = set(self.index.active[self.leaves])
        self.history = before.history
        self.timers = {timer.token: timer for timer in before.timers} if before.timers else {}
        self.activities = {running.token: running for running in before.activities} if before.activities else {}
        self.machines = {child.token: child for child in before.machines} if before.machines else {}
        self.stopping = {stopping.token: stopping for stopping in before.stopping} if before.stopping else {}
        self.undo = before.undo
        self.finished = before.finished
        self.status = before.status
        self.output = before.output
        self.failure = before.failure
        self.answer = before.answer
        self.queue: deque[Event] = deque()
        self.to_invoke: set[str] = set()
        self.held: list[HeldSend] = []
        self.effects: list[Effect] = []
        self.trace: list[Microstep] = []
        self.raised: list[str] = []
        self.refusals: dict[str, None] = {}
        self.caught: list[ActionError] = []
        self.refused: dict[str, str] = {}
        self.answered: Running | None = None
        self.heard: ChildMachine | None = None
        self.detached = False
        self.seq = before.seq + 1
        self._tokens = 0

    def token(self) -> str:
        """A name for something that begins now; no other of this machine has it."""
        self._tokens += 1
        return f"{self.before.life}.{self.seq}.{self._tokens}"

    def enqueue(self, event: Event) -> None:
        """Put an event on the internal queue."""
        self.queue.append(event)
        self.raised.append(event.name)

    def typed(self, event: Event) -> Event:
        """The event with its payload as a value of the declared type; see `typed`."""
        return typed(self.chart, event)

    def mark_finished(self, state: str | None, name: str) -> None:
        """An activity or a timer has ended. That is remembered as long as its state stays active."""
        if state is not None and name not in self.finished.get(state, ()):
            self.finished = dict(sorted({**self.finished, state: (*self.finished.get(state, ()), name)}.items()))

    def mark_begun(self, state: str, name: str) -> None:
        """An activity or a timer begins, perhaps again."""
        if name in self.finished.get(state, ()):
            names = tuple(other for other in self.finished[state] if other != name)
            others = {id: known for id, known in self.finished.items() if id != state}
            self.finished = dict(sorted({**others, state: names}.items())) if names else others

    def finish(self, outcome: Outcome) -> Step:
        """The result, as values."""
        try:
            data = self.chart.data.dump(self.scope.data)
        except Misfit as error:
            problem = f"it left data that does not fit {self.chart.data.name}: {error.problem} at {error.path}."
            raise self.action_error("a callback", problem) from error
        if self.chart.compiler is not None and self.before.data is not None:
            self._refuse_another_chart(self.chart.compiler.field, data)
        snapshot = changed(
            self.before,
            version=self.chart.version,
            digest=self.chart.digest,
            configuration=self.leaves,
            data=data,
            history=self.history,
            timers=tuple(self.timers.values()) if self.timers else (),
            activities=tuple(self.activities.values()) if self.activities else (),
            machines=tuple(self.machines.values()) if self.machines else (),
            seq=self.seq,
            status=self.status,
            output=self.output,
            failure=self.failure,
            finished=self.finished,
            undo=self.undo,
            stopping=tuple(self.stopping.values()) if self.stopping else (),
            answer=self.answer,
        )
        refused = tuple(self.refused.items())
        return Step(snapshot, tuple(self.effects), tuple(self.trace), outcome, tuple(self.caught), refused)

    def _refuse_another_chart(self, field: str, data: Json) -> None:
        before = self.before.data
        if isinstance(before, dict) and isinstance(data, dict) and before.get(field) != data.get(field):
            problem = f"it changed '{field}', from which the chart of this machine was compiled."
            raise self.action_error("a callback", problem)

    def action_error(self, callback: str, problem: str, without: Iterable[str] = ()) -> ActionError:
        """The failure of a callback; the states *without* a transition for it were active."""
        found = {"chart": self.chart.name, "event": self.event.name, "callback": callback, "problem": problem}
        return ActionError(**found, configuration=tuple(without))


def typed(chart: Chart, event: Event) -> Event:
    """The event with its payload as a value of the declared type; failures have a type of their own.

    Raises:
        InvalidPayload: the payload does not fit that type.
        ActionError: the type's own code failed.
    """
    declared = chart.events.get(event.name)
    if declared is None or declared.payload is None or isinstance(event.payload, Failure):
        return event
    try:
        # An event from outside brings JSON.
        payload = event.payload if event.origin in FROM_OUTSIDE else plain(event.payload)
        return changed(event, payload=declared.payload.load(cast("Json", payload)))
    except Misfit as error:
        raise not_loaded(chart, event.name, f"payload of '{event.name}'", declared.payload, error) from error


def not_loaded(
    chart: Chart, event: str, subject: str, type_: ValueType, misfit: Misfit
) -> InvalidPayload | ActionError:
    """The error for a payload or for data that cannot be loaded: the sender's, or that of the type's author."""
    if isinstance(misfit, TypeRaised):
        callback, problem = f"the code of {type_.name}", f"{misfit.problem} at {misfit.path}."
        remedy = "Fix it; a ValueError there refuses a value."
        return ActionError(chart=chart.name, event=event, callback=callback, problem=problem, remedy=remedy)
    return InvalidPayload(
        chart=chart.name, subject=subject, expected=type_.name, problem=misfit.problem, path=misfit.path
    )

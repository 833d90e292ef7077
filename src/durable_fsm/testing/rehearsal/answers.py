"""Functions that replace activities in a rehearsal, and the events that their results become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Chart, Each
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.fan_out import Joining
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.frontends.services import bound, missing_of, positional_of, services_asked_by, takes_context
from durable_fsm.testing.rehearsal.context import RehearsedContext, finished

AnswerFunction: TypeAlias = Callable[[Any], object]  # Any: the data of whatever type the chart declares


class Answers:
    """Answers by id of an activity, or by name of the function that undoes it.

    An activity without an answer that asks for *services*, all of which are given, is run itself. A fan-out is answered
    item by item.
    """

    def __init__(
        self, chart: Chart, key: str, functions: Mapping[str, AnswerFunction], services: Mapping[str, object]
    ) -> None:
        self.chart = chart
        self.key = key
        self.functions = dict(functions)
        self.services = services
        self._started: list[StartActivity] = []

    def remember(self, start: StartActivity) -> None:
        """Keep an activity that started, until `take` answers it or `stop` removes it."""
        self._started.append(start)

    def take(self, may_end: Callable[[str], bool]) -> StartActivity | None:
        """Return the first activity that can be answered and, by its token, *may_end*; and forget it."""
        start = next((start for start in self._started if self.has(start) and may_end(start.token)), None)
        if start is not None:
            self._started.remove(start)
        return start

    def stop(self, token: str) -> list[StartActivity]:
        """Forget an activity; return it if there is an answer that was not given yet."""
        stopped = [start for start in self._started if start.token == token]
        self._started = [start for start in self._started if start.token != token]
        return [start for start in stopped if self.has(start)]

    @property
    def detached(self) -> set[str]:
        """Tokens of the detached work that is still to be answered."""
        return {start.token for start in self._started if start.detached and self.has(start)}

    def has(self, start: StartActivity) -> bool:
        """Whether there is an answer to this activity."""
        activity = self.chart.activities[start.id]
        runs_itself = start.undo is None and services_asked_by(activity.run)
        return bool(self._given(start) or (runs_itself and not missing_of(activity.run, self.services)))

    def outcome(self, start: StartActivity, machine: Snapshot) -> Event:
        """Call the answer, and return the event that its result, or the error it raises, becomes."""
        each = self.chart.activities[start.id].each
        if each is None or start.items is None:
            outcome = self._answer(start, machine, self._received(start, machine))
        else:
            outcome = self._fan_out(start, machine, each, start.items)
        name = "error" if isinstance(outcome, Failure) else "done"
        return Event(f"{name}.invoke.{start.id}", outcome, Origin.PLATFORM, token=start.token)

    def _fan_out(self, start: StartActivity, machine: Snapshot, each: Each, items: tuple[Json, ...]) -> Json | Failure:
        """Answer for one item after the other, until their outcomes decide."""
        joining = Joining(each.join, len(items))
        for index, item in enumerate(items):
            if joining.ends(index, self._answer(start, machine, item, index)):
                break
        return joining.failure or joining.result

    def _answer(
        self, start: StartActivity, machine: Snapshot, received: object, index: int | None = None
    ) -> Json | Failure:
        """The result for what the activity receives, or for the item with this index, or the error that was raised."""
        given = self._given(start)
        try:
            found = (
                self._run_itself(start, machine, received, index)
                if given is None
                else bound(given, self.services)(received)
            )
            return plain(finished(found))
        except Exception as error:  # noqa: BLE001 - the test's function may raise anything; it is the activity's error
            message = error.message if isinstance(error, TerminalError) else str(error)
            return Failure(type(error).__name__, message, getattr(error, "code", None))

    def _given(self, start: StartActivity) -> AnswerFunction | None:
        undo = self.chart.activities[start.id].undo
        return self.functions.get(start.id if start.undo is None or undo is None else undo.name)

    def _run_itself(self, start: StartActivity, machine: Snapshot, received: object, index: int | None) -> object:
        """Call the work of an activity, with the services that it asks for."""
        activity = self.chart.activities[start.id]
        arguments = [received] if index is None else [received, self._received(start, machine)]
        if takes_context(activity):
            own = stable_id(self.chart.name, self.key, machine.life, start)
            own = own if index is None else f"{own}/{index}"
            arguments.insert(0, RehearsedContext(self.chart.name, self.key, own))
        accepted = len(positional_of(activity.run))
        return bound(activity.run, self.services)(*arguments[:accepted])

    def _received(self, start: StartActivity, machine: Snapshot) -> object:
        """The argument of the activity, or of the function that undoes it."""
        activity = self.chart.activities[start.id]
        if start.undo is not None:
            original = stable_id(self.chart.name, self.key, machine.life, start.undo)
            return original if activity.undo is not None and activity.undo.first else start.undo.result
        given = start.detached or activity.input is not None
        return start.input if given else self.chart.data.load(machine.data)

"""Functions that replace activities in a rehearsal, and the events that their results become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.errors import TerminalError
from durable_fsm.frontends.services import bound, missing_of, positional_of, services_asked_by, takes_context
from durable_fsm.testing.rehearsal.context import RehearsedContext, finished

AnswerFunction: TypeAlias = Callable[[Any], object]  # Any: the data of whatever type the chart declares


class Answers:
    """Answers by id of an activity, or by name of the function that undoes it.

    An activity without an answer that asks for *services*, all of which are given, is run itself.
    """

    def __init__(
        self, chart: Chart, key: str, functions: Mapping[str, AnswerFunction], services: Mapping[str, object]
    ) -> None:
        self.chart = chart
        self.key = key
        self.functions = dict(functions)
        self.services = services
        self.life = ""
        self._started: list[StartActivity] = []

    def remember(self, start: StartActivity) -> None:
        """Keep an activity that started, until `take` answers it or `stop` removes it."""
        self._started.append(start)

    def take(self) -> StartActivity | None:
        """Return the first activity that can be answered, and forget it."""
        start = next((start for start in self._started if self.has(start)), None)
        if start is not None:
            self._started.remove(start)
        return start

    def stop(self, token: str) -> list[StartActivity]:
        """Forget an activity; return it if there is an answer that was not given yet."""
        stopped = [start for start in self._started if start.token == token]
        self._started = [start for start in self._started if start.token != token]
        return [start for start in stopped if self.has(start)]

    def has(self, start: StartActivity) -> bool:
        """Whether there is an answer to this activity."""
        return self._function(start) is not None

    def outcome(self, start: StartActivity, machine: Snapshot) -> Event:
        """Call the answer, and return the event that its result, or the error it raises, becomes."""
        answer = self._function(start)
        assert answer is not None
        received, self.life = self._received(start, machine), machine.life
        try:
            result = plain(finished(bound(answer, self.services)(received)))
        except Exception as error:  # noqa: BLE001 - the test's function may raise anything; it is the activity's error
            message = error.message if isinstance(error, TerminalError) else str(error)
            failure = Failure(type(error).__name__, message, getattr(error, "code", None))
            return Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=start.token)
        return Event(f"done.invoke.{start.id}", result, Origin.PLATFORM, token=start.token)

    def _function(self, start: StartActivity) -> AnswerFunction | None:
        activity = self.chart.activities[start.id]
        undo = activity.undo
        given = self.functions.get(start.id if start.undo is None or undo is None else undo.name)
        return given or (self._itself(activity, start) if start.undo is None and activity.each is None else None)

    def _itself(self, activity: Activity, start: StartActivity) -> AnswerFunction | None:
        """The work of an activity, if it asks for services and all of them are given."""
        if not services_asked_by(activity.run) or missing_of(activity.run, self.services):
            return None
        work, accepted = bound(activity.run, self.services), len(positional_of(activity.run))

        def call(received: object) -> object:
            if not takes_context(activity):
                return work(*(received,)[:accepted])
            own = stable_id(self.chart.name, self.key, self.life, start)
            return work(*(RehearsedContext(self.chart.name, self.key, own), received)[:accepted])

        return call

    def _received(self, start: StartActivity, machine: Snapshot) -> object:
        """The argument of the activity, or of the function that undoes it."""
        activity = self.chart.activities[start.id]
        if start.undo is not None:
            original = stable_id(self.chart.name, self.key, machine.life, start.undo)
            return original if activity.undo is not None and activity.undo.first else start.undo.result
        given = start.detached or activity.input is not None
        return start.input if given else self.chart.data.load(machine.data)

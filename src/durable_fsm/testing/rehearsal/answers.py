"""Functions that replace activities in a rehearsal, and the events that their results become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Chart
from durable_fsm.core.codec import plain
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.events import Event, Failure, Origin
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.errors import TerminalError

AnswerFunction: TypeAlias = Callable[[Any], object]  # Any: the data of whatever type the chart declares


class Answers:
    """Answers by id of an activity, or by name of the function that undoes it."""

    def __init__(self, chart: Chart, key: str, functions: Mapping[str, AnswerFunction]) -> None:
        self.chart = chart
        self.key = key
        self.functions = dict(functions)
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
        received = self._received(start, machine)
        try:
            result = plain(answer(received))
        except Exception as error:  # noqa: BLE001 - the test's function may raise anything; it is the activity's error
            message = error.message if isinstance(error, TerminalError) else str(error)
            failure = Failure(type(error).__name__, message, getattr(error, "code", None))
            return Event(f"error.invoke.{start.id}", failure, Origin.PLATFORM, token=start.token)
        return Event(f"done.invoke.{start.id}", result, Origin.PLATFORM, token=start.token)

    def _function(self, start: StartActivity) -> AnswerFunction | None:
        undo = self.chart.activities[start.id].undo
        return self.functions.get(start.id if start.undo is None or undo is None else undo.name)

    def _received(self, start: StartActivity, machine: Snapshot) -> object:
        """The argument of the activity, or of the function that undoes it."""
        activity = self.chart.activities[start.id]
        if start.undo is not None:
            original = stable_id(self.chart.name, self.key, machine.life, start.undo)
            return original if activity.undo is not None and activity.undo.first else start.undo.result
        given = start.detached or activity.input is not None
        return start.input if given else self.chart.data.load(machine.data)

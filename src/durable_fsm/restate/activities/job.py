"""Jobs: one run of an activity, as its machine orders it; how it is ordered and stopped."""

from __future__ import annotations

from typing import cast

import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.activity import stable_id
from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.effects import StartActivity
from durable_fsm.core.snapshot import Snapshot
from durable_fsm.core.values import Json
from durable_fsm.errors import TooLarge
from durable_fsm.restate.fastjson import WireRecord, dumps
from durable_fsm.restate.http.requests import MAX_SNAPSHOT
from durable_fsm.restate.names import Handler, activities_name, handler_name, undo_handler_name


class RunToUndo(WireRecord, frozen=True):
    """A run of an activity that is to be undone: its stable id (`original`) and its result.

    `by` is the id of the activity that the machine waits for meanwhile.
    """

    by: str
    original: str
    result: Json


class ActivityJob(WireRecord, frozen=True):
    """One run of an activity.

    Attributes:
        data: the machine's data; if `given`, what the activity's `input` made of it, or the arguments of detached work.
        background: whether the machine waits for a delivery with the outcome.
        items: those of a fan-out. A job for one of them has its index as `part`, and the `item`.
        undo: the run to undo; None for a job that does the work.
        priority: decides its place among the runs that wait for a limit.
    """

    key: str
    token: str
    stable_id: str
    data: Json
    background: bool
    given: bool = False
    detached: bool = False
    items: list[Json] | None = None
    part: int | None = None
    item: Json = None
    undo: RunToUndo | None = None
    priority: int = 0

    @property
    def attempts_token(self) -> str:
        """The token of this job's attempts in their process. Each item of a fan-out has its own: `token/3`."""
        return self.token if self.part is None else f"{self.token}/{self.part}"

    @classmethod
    def of(
        cls, chart: Chart, key: str, machine: Snapshot, start: StartActivity, *, background: bool, by: str = ""
    ) -> ActivityJob:
        """The job that a machine starts; *by* names what undoes, where the machine itself does not wait for it."""
        given = start.detached or chart.activities[start.id].input is not None
        undo: RunToUndo | None = None
        if start.undo is not None:
            asked = next((running.id for running in machine.activities if running.token == start.token), "")
            original = stable_id(chart.name, key, machine.life, start.undo)
            undo = RunToUndo(by or asked, original, start.undo.result)
        return cls(
            key,
            start.token,
            stable_id(chart.name, key, machine.life, start),
            start.input if given and undo is None else machine.data,
            background=background,
            given=given,
            detached=start.detached,
            items=None if start.items is None else list(start.items),
            undo=undo,
            priority=start.priority,
        )

    def named_values(self, activity: Activity) -> list[Json]:
        """The values that the work receives, under the names that the chart gives them: redaction goes by names."""
        input_, each = activity.input, activity.each
        return [
            {input_.name: self.data} if self.given and input_ is not None else self.data,
            self.data,
            {each.name: [*(self.items or ()), self.item]} if each is not None else None,
        ]


def refuse_too_large(chart: Chart, job: ActivityJob) -> None:
    """Refuse a job that Restate cannot carry, which is 32 MiB: it would retry the send for ever.

    Raises:
        TooLarge: what the work receives, and the items of a fan-out, are together longer than a machine may be.
        ValueError: they have an unpaired surrogate.
    """
    size = len(dumps([job.data, cast("Json", job.items)]))
    if size > MAX_SNAPSHOT:
        raise TooLarge(chart=chart.name, size=size, limit=MAX_SNAPSHOT)


def handler_of(start: StartActivity) -> str:
    """Name of the handler that does the work: that of the activity, or of its undo."""
    return handler_name(start.id) if start.undo is None else undo_handler_name(start.id)


def stop_job(ctx: restate.Context | ObjectContext | ObjectSharedContext, chart: Chart, token: str) -> None:
    """Tell the service of activities to stop a job at once. Its invocation is also cancelled when its id is known.

    A job of another version runs elsewhere, and is only cancelled.
    """
    if chart.activities:
        ctx.generic_send(activities_name(chart), Handler.STOP, token.encode())

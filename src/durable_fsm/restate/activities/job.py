"""Jobs: one run of an activity, as its machine orders it, and the handlers that take the order."""

from __future__ import annotations

from durable_fsm.core.chart import Activity
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import WireRecord


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

    @property
    def attempts_token(self) -> str:
        """The token of this job's attempts in their process. Each item of a fan-out has its own: `token/3`."""
        return self.token if self.part is None else f"{self.token}/{self.part}"

    def named_values(self, activity: Activity) -> list[Json]:
        """The values that the work receives, under the names that the chart gives them: redaction goes by names."""
        input_, each = activity.input, activity.each
        return [
            {input_.name: self.data} if self.given and input_ is not None else self.data,
            self.data,
            {each.name: [*(self.items or ()), self.item]} if each is not None else None,
        ]

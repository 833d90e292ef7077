"""Jobs: one run of an activity, as its machine orders it, and the handlers that take the order."""

from __future__ import annotations

import re

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.values import Json
from durable_fsm.restate.fastjson import JsonMember, WireRecord
from durable_fsm.restate.http.requests import digest_of

STOP = "_stop"
"""Name of the handler that takes the token of a job to stop. No activity's own handler begins with an underscore."""


def activities_name(chart: Chart) -> str:
    """Name of the service that runs activities: `Order.activities`, and `Order.activities.2` for version 2.

    Each version has its own service, so that the work of an earlier build goes to that build while it is deployed.
    """
    name = f"{chart.name}.activities"
    if chart.version == "1":
        return name
    suffix = re.sub(r"[^a-zA-Z0-9_-]", "_", chart.version)
    return f"{name}.{suffix}" if suffix == chart.version else f"{name}.{suffix}-{digest_of(chart.version)}"


def handler_name(activity: str) -> str:
    """An activity's id as Restate accepts it for a handler."""
    name = re.sub(r"[^a-zA-Z0-9_]", "_", activity)
    return name if name[0].isalpha() else f"a_{name}"


def item_handler_name(activity: str) -> str:
    """Name of the handler that runs one item of a fan-out."""
    return f"_each_{handler_name(activity)}"


def undo_handler_name(activity: str) -> str:
    """Name of the handler that undoes a run of an activity."""
    return f"_undo_{handler_name(activity)}"


class RunToUndo(WireRecord, frozen=True):
    """A run of an activity that is to be undone: its stable id (`original`) and its result.

    `by` is the id of the activity that the machine waits for meanwhile.
    """

    by: str
    original: str
    result: JsonMember


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
    data: JsonMember
    background: bool
    given: bool = False
    detached: bool = False
    items: list[JsonMember] | None = None
    part: int | None = None
    item: JsonMember = None
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

"""A chart as a Restate workflow: `run` creates the machine of its key and lasts until the machine has ended or answered.

Restate itself sees to it that a workflow runs once, and lets callers attach to it, read its output and cancel it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import restate
from restate import TerminalError as RestateTerminalError
from restate import WorkflowContext, WorkflowSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import is_cancellation
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import FOR_EVER, answer_in, output_of, read, signal_in
from durable_fsm.restate.names import Handler, workflow_name
from durable_fsm.restate.registration import BYTES, SUSPENDED_AFTER, register


def workflow(chart: Chart, handlers: dict[str, str]) -> restate.Workflow:
    """The workflow of *chart*, with the same handlers for events as its object."""
    service = restate.Workflow(
        workflow_name(chart),
        description=f"Runs a machine of {chart.name} from its beginning to its end, or to its answer.",
        invocation_retry_policy=FOR_EVER,
    )
    operators_only, queries = chart.hosting.operators_only, chart.hosting.queries
    may_not_create = Handler.CREATE in operators_only  # and so may not run a machine either
    brief: dict[str, Any] = {"chart": chart, "inactivity_timeout": SUSPENDED_AFTER}
    register(service, Handler.RUN, _run(chart), main=True, private=may_not_create, **brief)
    for name in (Handler.SEND, *handlers, *queries):
        if name != Handler.RUN:
            doc = f"Ask '{name}' of the machine." if name in queries else f"Send '{name}' to the machine."
            doc = "Send any public event to the machine." if name == Handler.SEND else doc
            private = name in operators_only
            register(service, name, _forward(chart, name), private=private, doc=doc, **brief)
    return service


def _run(chart: Chart) -> Callable[[WorkflowContext, bytes], Awaitable[bytes]]:
    async def run(ctx: WorkflowContext, body: bytes) -> bytes:
        """Create the machine with this data, and wait for its end, or its answer; answers with its output."""
        data = read(chart.name, Handler.RUN, body)
        request: dict[str, Json] = {"data": data, "waiter": ctx.request().id}
        try:
            answer = await ctx.generic_call(chart.name, Handler.RUN_TO_END, dumps(request), key=ctx.key())
            if name := signal_in(answer):  # the machine has not ended yet, and will send this signal when it does
                answer = await ctx.signal(name, serde=BYTES)
        except RestateTerminalError as error:
            if is_cancellation(error):
                _undo_and_delete(ctx, chart)
            raise
        return output_of(answer_in(answer)["ended"])

    return run


def _undo_and_delete(ctx: WorkflowContext, chart: Chart) -> None:
    if any(activity.exclusive for one in chart.served for activity in one.activities.values()):
        # An exclusive activity holds the machine's key, and would keep the deletion waiting.
        ctx.generic_send(chart.name, Handler.CANCEL, b"{}", key=ctx.key())
    ctx.generic_send(chart.name, Handler.DELETE, b'{"compensate":true}', key=ctx.key())


def _forward(chart: Chart, name: str) -> Callable[[WorkflowSharedContext, bytes], Awaitable[bytes]]:
    async def forward(ctx: WorkflowSharedContext, body: bytes) -> bytes:
        return await ctx.generic_call(chart.name, name, body, key=ctx.key())

    return forward

"""A chart as a Restate workflow: `run` creates the machine of its key and lasts until that has ended.

That a workflow runs once, and how it is attached to, asked for its output and cancelled, is Restate's own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import restate
from restate import TerminalError as RestateTerminalError
from restate import WorkflowContext, WorkflowSharedContext

from durable_fsm.core.chart import Chart
from durable_fsm.core.values import Json
from durable_fsm.restate.activities.failures import is_cancellation
from durable_fsm.restate.fastjson import dumps
from durable_fsm.restate.http.requests import BYTES, FOR_EVER, output_of, read, told
from durable_fsm.restate.names import Handler, workflow_name
from durable_fsm.restate.registration import register


def workflow(chart: Chart, handlers: dict[str, str]) -> restate.Workflow:
    """The workflow of *chart*, with the same handlers for events as its object."""
    service = restate.Workflow(
        workflow_name(chart),
        description=f"Runs a machine of {chart.name} from its beginning to its end.",
        invocation_retry_policy=FOR_EVER,
    )
    private = Handler.CREATE in chart.hosting.operators_only  # to run a machine is to create one
    register(service, Handler.RUN, _run(chart), chart=chart, main=True, private=private)
    for name in (Handler.SEND, *handlers):
        if name != Handler.RUN:
            register(service, name, _forward(chart, name), chart=chart, private=name in chart.hosting.operators_only)
    return service


def _run(chart: Chart) -> Callable[[WorkflowContext, bytes], Awaitable[bytes]]:
    async def run(ctx: WorkflowContext, body: bytes) -> bytes:
        """Create the machine with this data, and wait for its end; answers with its output."""
        data = read(chart.name, Handler.RUN, body)
        awakeable, end = ctx.awakeable(serde=BYTES)
        request: dict[str, Json] = {"data": data, "awakeable": awakeable}
        try:
            answer = await ctx.generic_call(chart.name, Handler.RUN_TO_END, dumps(request), key=ctx.key())
            if answer == b"null":
                answer = await end
        except RestateTerminalError as error:
            if is_cancellation(error):
                _abandon(ctx, chart)
            raise
        return output_of(told(answer)["ended"])

    return run


def _abandon(ctx: WorkflowContext, chart: Chart) -> None:
    """Undo what the machine has done, and delete it. Exclusive work holds its key: that is cancelled first."""
    if any(activity.exclusive for one in chart.served for activity in one.activities.values()):
        ctx.generic_send(chart.name, Handler.CANCEL, b"", key=ctx.key())
    ctx.generic_send(chart.name, Handler.DELETE, b'{"compensate":true}', key=ctx.key())


def _forward(chart: Chart, name: str) -> Callable[[WorkflowSharedContext, bytes], Awaitable[bytes]]:
    async def handler(ctx: WorkflowSharedContext, body: bytes) -> bytes:
        return await ctx.generic_call(chart.name, name, body, key=ctx.key())

    handler.__doc__ = (
        f"Send '{name}' to the machine." if name != Handler.SEND else "Send any public event to the machine."
    )
    return handler

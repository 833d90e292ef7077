"""Waiting for the end of another invocation.

Restate answers once, when that invocation has ended. If its server is killed at a certain moment, the answer is lost: seen
with Restate 1.7.12, in five of about 1,400 kills, each while a fan-out ran on a busy machine. Then the invocation that waits
would wait for ever, so it repeats its question from time to time.
"""

from __future__ import annotations

from datetime import timedelta

import restate
from restate import ObjectContext, ObjectSharedContext

from durable_fsm.core.codec import rounded_up
from durable_fsm.core.durations import Backoff
from durable_fsm.restate.registration import BYTES

ASKED_AGAIN = Backoff(timedelta(seconds=10), longest=timedelta(hours=1))


async def end_of(
    ctx: restate.Context | ObjectContext | ObjectSharedContext, invocation: str, *, within: timedelta | None = None
) -> restate.RestateDurableFuture[bytes] | None:
    """Wait until an invocation has ended. Its output, or its failure, is in what is returned; None if it takes longer.

    Raises:
        restate.TerminalError: this invocation is cancelled meanwhile.
    """
    limit = [] if within is None else [ctx.sleep(rounded_up(within))]
    asked: list[restate.RestateDurableFuture[bytes]] = []
    while True:
        pause = ASKED_AGAIN.delay(len(asked))
        asked.append(ctx.attach_invocation(invocation, serde=BYTES))
        ended, _ = await restate.wait_completed(*asked, *limit, ctx.sleep(pause))
        if told := [one for one in asked if one in ended]:
            return told[0]
        if limit and limit[0] in ended:
            return None

"""Who waits for the end of another invocation asks again from time to time: Restate may have lost its answer."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from statemachine import State, StateChart

from durable_fsm import activity, app, durable, event
from durable_fsm.restate.attaching import ASKED_AGAIN
from tests.restate.played import SEND, SLEEP, SUSPENSION, Frame, Invoked, ask

ATTACH, ATTACHED = 0x0412, 0x8012
RUN = "inv_1run"


async def pack() -> None: ...


@durable()
class Desk(StateChart):
    """Its work has a limit, so something watches each run."""

    idle = State(initial=True)
    packing = State(invoke=activity(pack, limit=2))
    pack = event(idle.to(packing))
    done_invoke_packing = packing.to(idle)
    error_invoke_packing = packing.to(idle)


def attempt(watcher: Invoked) -> list[Frame]:
    """One attempt of the watcher; what it sends is stored."""
    sent = asyncio.run(ask(app(Desk), watcher.target, watcher.request())).frames
    watcher.store(sent)
    return sent


def test_a_watcher_asks_again_until_it_hears_that_the_run_has_ended() -> None:
    watcher = Invoked("Desk.limits/watch", "packing", RUN.encode(), 1, {})

    asked = []
    for _ in range(3):
        sent = attempt(watcher)
        assert [frame.kind for frame in sent] == [ATTACH, SLEEP, SUSPENSION]
        asked.append(sent[0])
        watcher.answer(sent[1], None)  # nothing was heard meanwhile

    last = attempt(watcher)[0]
    watcher.journal.append(Frame(ATTACHED, ((1, last[11]), (5, b""))))
    [told] = [frame for frame in attempt(watcher) if frame.kind == SEND]

    assert all(frame[1] == RUN.encode() for frame in [*asked, last])
    assert (told[1], told[2], told[3]) == (b"Desk.limits", b"leave", RUN.encode())


def test_the_pauses_grow_from_seconds_to_an_hour() -> None:
    pauses = [ASKED_AGAIN.delay(tries) for tries in (0, 1, 20)]

    assert pauses == [timedelta(seconds=10), timedelta(seconds=20), timedelta(hours=1)]

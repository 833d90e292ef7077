"""Live updates: one query for all machines of a chart that have viewers, however many these are.

A poller per viewer would cost the server cores. So each chart has one, which runs while there are viewers: it reads the
texts of all watched machines at once, compares them with the last ones, and tells the viewers of those that changed. It
waits at least ten times as long as the query took, so it takes at most a tenth of a core of the server.

    beat      the server has answered: as of when, and how long it took
    stale     it has not, and why; the poller tries again, ever more rarely
    moved     a step of the machine: what is active, which transitions were taken; its id is `<life>.<seq>`
    changed   something else about the machine: an attempt that failed, a parked delivery
    life      the key has another machine now, which began at that time
    gone      the key has no machine any more
    counted   a fleet has other numbers
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool

from durable_fsm.admin.client import AdminRefused
from durable_fsm.admin.past import EntryRecord, PastMoment, past_of
from durable_fsm.console.describing import Describer
from durable_fsm.console.facts import MachineFacts, history_of
from durable_fsm.console.formatting import now_ms
from durable_fsm.console.reading import ServerReader, Texts
from durable_fsm.console.rendering import without_addresses

log = logging.getLogger("durable_fsm.console")

AT_ONCE = 50
"""Machines of one query."""

BEAT = 1.0
"""Seconds between two signs of life."""

LONGEST_PAUSE = 30.0
"""Seconds between two tries while the server does not answer."""

FLEET_POLL = 2.0
SHARE, FLEET_SHARE = 10, 20
"""How many times as long as a query took the poller waits at least."""

MOST_STEPS = 100
"""Steps that a viewer who comes back gets one by one."""

MOST_WAITING = 2 * MOST_STEPS
"""Messages that wait for a viewer who does not read. Then the stream ends: a browser that still runs comes back."""

_SEEN = re.compile(r"(.*)\.([0-9]{1,18})", re.DOTALL)


@dataclass(frozen=True)
class LiveMessage:
    """One server-sent event."""

    event: str
    data: dict[str, Any]  # Any: JSON that the page's script knows
    id: str = ""

    @property
    def text(self) -> str:
        head = f"id: {self.id}\n" if self.id else ""
        return f"{head}event: {self.event}\ndata: {json.dumps(self.data, ensure_ascii=False)}\n\n"


def print_of(texts: Texts) -> str:
    """Twelve hex digits that change with anything that is stored of a machine."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update("\0".join((*name, text, "")).encode())
    return digest.hexdigest()[:12]


def messages_for(
    facts: MachineFacts | None, seen: str, describer: Describer, entries: Sequence[EntryRecord] | None = None
) -> list[LiveMessage]:
    """The messages for a viewer who has seen `<life>.<seq>`: each step since, or that the machine is another, or gone.

    Args:
        entries: those of its history; by default those that its snapshot carries.
    """
    if facts is None or facts.gone or facts.stored is None:
        return [LiveMessage("gone", {})] if seen else []
    stored = facts.stored
    life, last = _life_and_step(seen)
    past = past_of(facts.tail if entries is None else entries, stored.configuration, describer.chart)
    if life and life != stored.life:
        began = past[0].at if past and past[0].n == 1 else None
        return [LiveMessage("life", {"at": began, "mark": facts.mark}, facts.mark)]
    steps = [one for one in past if one.seq > last][-MOST_STEPS:]
    leaves = describer.leaves(stored.configuration)
    possible = sorted(describer.possible_edges(leaves)) if stored.status.value == "running" else []
    found = [
        LiveMessage("moved", _told(one, life or stored.life, describer), f"{stored.life}.{one.seq}") for one in steps
    ]
    if not found:
        return [LiveMessage("changed", {"mark": facts.mark, "possible": possible}, facts.mark)]
    found[-1].data["possible"] = possible
    return found


def lacks_steps(facts: MachineFacts, seen: str) -> bool:
    """Whether steps since the one that was seen have left the snapshot already, with a full page."""
    life, last = _life_and_step(seen)
    stored, tail = facts.stored, facts.tail
    if stored is None or stored.life != life:
        return False
    return (int(tail[0].get("seq", 0)) if tail else stored.seq + 1) > last + 1


def _life_and_step(seen: str) -> tuple[str, int]:
    """The parts of `<life>.<seq>`, which comes from a browser; no life if it is something else."""
    found = _SEEN.fullmatch(seen)
    return ("", 0) if found is None else (found[1], int(found[2]))


def _told(one: PastMoment, life: str, describer: Describer) -> dict[str, Any]:  # Any: JSON
    return {
        "seq": one.seq,
        "n": one.n,
        "at": one.at,
        "label": describer.event(one),
        "active": sorted(one.after),
        "taken": list(one.taken),
        "life": life,
    }


def pause_after(failures: int, poll: float) -> float:
    """Seconds until the server is asked again after so many failures."""
    return min(poll * 2.0 ** min(failures, 20), LONGEST_PAUSE)


@dataclass(eq=False)
class Viewer:
    """The viewer of a machine, or of a fleet if there is no key.

    Attributes:
        seen: the last step that they were sent: `<life>.<seq>`.
        print: identifies the texts that their page was made from.
    """

    key: str
    seen: str
    print: str
    inbox: asyncio.Queue[LiveMessage | None] = field(default_factory=asyncio.Queue["LiveMessage | None"])

    def tell(self, message: LiveMessage) -> None:
        """Let a message wait for the viewer; None behind the last one ends the stream."""
        waiting = self.inbox.qsize()
        if waiting < MOST_WAITING:
            self.inbox.put_nowait(message)
        elif waiting == MOST_WAITING:
            self.inbox.put_nowait(None)


class LivePoller:
    """Watches the machines of one chart for all their viewers."""

    def __init__(self, reader: ServerReader, chart: str, poll: timedelta) -> None:
        self._reader = reader
        self._chart = chart
        self._poll = poll.total_seconds()
        self._viewers: set[Viewer] = set()
        self._task: asyncio.Task[None] | None = None
        self._beat = 0.0
        self._failures = 0
        self._took = 0.0
        self._woken = asyncio.Event()

    async def watch(self, viewer: Viewer) -> AsyncIterator[LiveMessage]:
        """Every change from now on, until the viewer leaves."""
        self._viewers.add(viewer)
        self._woken.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            while (message := await viewer.inbox.get()) is not None:
                yield message
        finally:
            self._viewers.discard(viewer)

    async def _run(self) -> None:
        while self._viewers:
            self._woken.clear()
            try:
                pause = await self._look()
            except Exception:  # an answer of another server, perhaps: the stream continues when it is right again
                log.exception("the live pages of %s could not be brought up to date", self._chart)
                pause = self._failed("The console has failed; its log says why.")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), pause)
        self._task = None

    async def _look(self) -> float:
        """Look once, tell the viewers, and return how long to wait."""
        begun = time.monotonic()
        try:
            texts = await run_in_threadpool(self._texts, sorted({viewer.key for viewer in self._viewers}))
        except AdminRefused as error:
            return self._failed(without_addresses(str(error)))
        took = time.monotonic() - begun
        if self._failures or begun - self._beat >= BEAT:
            self._beat, self._failures = begun, 0
            self._tell_all(LiveMessage("beat", {"as_of": now_ms(), "took": round(took * 1_000)}))
        await self._compare(texts)
        pace, self._took = min(took, self._took), took  # one slow answer does not slow down what follows
        return max(self._poll, SHARE * pace)

    def _failed(self, problem: str) -> float:
        """Tell the viewers why there is nothing new; return how long to wait."""
        self._failures += 1
        self._tell_all(LiveMessage("stale", {"problem": problem, "tries": self._failures}))
        return pause_after(self._failures, self._poll)

    def _texts(self, keys: list[str]) -> dict[str, Texts]:
        found: dict[str, Texts] = {}
        for begin in range(0, len(keys), AT_ONCE):
            found |= self._reader.texts(self._chart, keys[begin : begin + AT_ONCE])
        return found

    async def _compare(self, texts: dict[str, Texts]) -> None:
        known = self._reader.known(self._chart)
        describer = Describer(None if known is None else known.chart)
        for viewer in list(self._viewers):
            found = texts.get(viewer.key, {})
            print = print_of(found)
            if print == viewer.print:
                continue
            viewer.print = print
            try:
                await self._tell(viewer, MachineFacts.of(self._chart, viewer.key, found), describer)
            except Exception:  # one machine that is not ours must not end the stream of all
                log.exception("%s/%s cannot be brought up to date on live pages", self._chart, viewer.key)
                viewer.tell(LiveMessage("changed", {"mark": "", "possible": []}))

    async def _tell(self, viewer: Viewer, facts: MachineFacts | None, describer: Describer) -> None:
        entries = [] if facts is None else facts.tail
        if facts is not None and lacks_steps(facts, viewer.seen):
            with suppress(AdminRefused):
                entries = await run_in_threadpool(history_of, self._reader, facts)
        for message in messages_for(facts, viewer.seen, describer, entries):
            viewer.tell(message)
        if facts is not None and facts.mark:
            viewer.seen = facts.mark  # that of a machine that is gone tells a new life from it

    def _tell_all(self, message: LiveMessage) -> None:
        for viewer in self._viewers:
            viewer.tell(message)


class FleetPoller(LivePoller):
    """Watches the numbers of a whole fleet: one grouped query, however many look."""

    def __init__(self, reader: ServerReader, chart: str, count: Callable[[], Awaitable[str]]) -> None:
        super().__init__(reader, chart, timedelta(seconds=FLEET_POLL))
        self._count = count

    async def _look(self) -> float:
        begun = time.monotonic()
        try:
            print = await self._count()
        except AdminRefused as error:
            return self._failed(without_addresses(str(error)))
        took = time.monotonic() - begun
        self._failures = 0
        self._tell_all(LiveMessage("beat", {"as_of": now_ms(), "took": round(took * 1_000)}))
        for viewer in list(self._viewers):
            if viewer.print != print:
                viewer.print = print
                viewer.tell(LiveMessage("counted", {"print": print}))
        return max(self._poll, FLEET_SHARE * took)

"""Acting on many machines: a preview of an event for each of them, then a run that sends it, with a report.

A run can be continued, also by another console: each machine gets the event under an idempotency key of the run, so no
machine gets it twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from durable_fsm.console.acting import Acting, Given, form_fields, form_of, log, one_line, refusal_of
from durable_fsm.console.describing import Describer
from durable_fsm.console.facts import MachineFacts
from durable_fsm.console.fleet_reading import every
from durable_fsm.console.forms import filled
from durable_fsm.console.list_page import ListQuery
from durable_fsm.console.operators import Operator
from durable_fsm.console.previews import preview_of
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.redaction import Redactor
from durable_fsm.console.rendering import render
from durable_fsm.core.values import Json
from durable_fsm.errors import DurableFSMError, NotIndexed

if TYPE_CHECKING:
    from durable_fsm.console.context import ConsoleContext

MOST_MACHINES = 1_000
AT_ONCE = 8
TOGETHER = 50
RUNS_KEPT = 50
SHOWN = 10
CONDITIONS = ("state", "status", "version", "prefix", "older", "where", "parked", "stuck", "failing")


class Seen(NamedTuple):
    """A machine as it was when a run was prepared, and the outcome of the event, in words."""

    key: str
    seq: int
    would: str
    refused: bool


@dataclass
class BulkRun:
    """One run: an event on its way to many machines."""

    id: str
    operator: str
    chart: str
    event: str
    machines: tuple[Seen, ...]
    back: str
    taken: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    task: asyncio.Task[None] | None = None

    @property
    def done(self) -> int:
        return self.taken + len(self.refused)

    @property
    def is_over(self) -> bool:
        return self.done >= len(self.machines)

    @property
    def reasons(self) -> list[tuple[str, list[str]]]:
        """Why machines refused, each with their keys; the most frequent first."""
        found: dict[str, list[str]] = {}
        for key, why in self.refused.items():
            found.setdefault(why.replace(f"{self.chart}/{key}", self.chart), []).append(key)
        return sorted(found.items(), key=lambda one: -len(one[1]))


class BulkActing:
    """The routes for acting on many machines."""

    def __init__(self, acting: Acting) -> None:
        self.acting = acting
        self.context: ConsoleContext = acting.context
        self._runs: OrderedDict[str, BulkRun] = OrderedDict()

    def routes(self) -> list[BaseRoute]:
        page = self.acting.page
        return [
            Route("/act/bulk", page(self.bulk), methods=["GET", "POST"]),
            Route("/act/run", page(self.run)),
            Route("/panel/run", page(self.run_panel)),
        ]

    async def bulk(self, request: Request) -> Response:
        """Choose an event, look at the preview, then run it."""
        query = request.query_params
        chart, event = query.get("chart", ""), query.get("event", "")
        operator = self.acting.admitted(request, "bulk", chart)
        self.acting.admitted(request, "send", chart)
        given = await form_of(request) if request.method == "POST" else {}
        if given:
            self.acting.checked(request, given)
        known = await run_in_threadpool(self.context.reader.chart, chart)
        if known is None or known.chart is None:
            raise HTTPException(404, f"The chart '{chart}' is not known.")
        wanted = ListQuery.of(query)
        if wanted.problem:
            raise HTTPException(422, wanted.problem)
        fields = form_fields(known.chart, event) if event else ()
        form = filled(fields, given) if given else None
        problem, status, seen = "" if form is None else form.problem, 200, list[Seen]()
        if event and form is not None and not problem:
            try:
                seen = await run_in_threadpool(self._seen, known, wanted, event, form.payload)
            except NotIndexed as error:
                raise HTTPException(422, error.what) from error
            if len(seen) > MOST_MACHINES:
                problem = f"More than {MOST_MACHINES:,} machines match. Narrow the conditions."
            elif given.get("do") == "run":
                problem = (
                    "" if given.get("reason", "").strip() else "Give a reason: it goes to the log, with your name."
                )
                if not problem and given.get("count") != str(len(seen)):
                    problem = (
                        f"Now {len(seen)} machines match, and you saw {given.get('count')}. Look again, then run it."
                    )
                if not problem:
                    back = self.context.frame(request).url("/act/bulk", **dict(query))
                    run = self._begin(operator, chart, event, form.payload, seen, given, back)
                    return RedirectResponse(self.context.frame(request).url("/act/run", id=run.id), 303)
            status = 422 if problem else 200
        values: dict[str, Any] = {"known": known, "event": event, "problem": problem, "seen": seen[:MOST_MACHINES]}
        values |= {"fields": form.fields if form else fields, "groups": _groups(seen), "looked": form is not None}
        values |= {"given": given, "once": given.get("once") or query.get("run") or uuid4().hex[:12]}
        values |= {"conditions": {name: query[name] for name in CONDITIONS if query.get(name)}}
        return HTMLResponse(render("act_bulk.html", self.context.frame(request), here="charts", **values), status)

    def _seen(self, known: KnownChart, wanted: ListQuery, event: str, payload: Json) -> list[Seen]:
        """The machines that match, each with a preview; one more than may be, if there are more."""
        reader, found = self.context.reader, list[Seen]()
        rows = every(reader, known, wanted.wanted, wanted.prefix)
        keys = [row.key for row in islice(rows, MOST_MACHINES + 1)]
        for place in range(0, len(keys), TOGETHER):
            some = keys[place : place + TOGETHER]
            texts = reader.texts(known.name, some)
            found += [
                self._judged(known, key, MachineFacts.of(known.name, key, texts.get(key, {})), event, payload)
                for key in some
            ]
        return found

    def _judged(self, known: KnownChart, key: str, facts: MachineFacts | None, event: str, payload: Json) -> Seen:
        if facts is None or facts.stored is None:
            return Seen(key, 0, "cannot be read", refused=True)
        stored = facts.stored
        preview = preview_of(
            self.acting.code(known),
            Describer(known.of(stored.version) or known.chart),
            stored,
            event,
            payload,
            Redactor(known, facts, hide_data=True),
            datetime.now(UTC),
            paused=stored.paused is not None,
        )
        if preview.refused:
            return Seen(key, stored.seq, f"refused in {', '.join(stored.configuration)}", refused=True)
        words = (
            f"→ {', '.join(preview.leaves)}" if preview.leaves else ", ".join(preview.lines) or "depends on its data"
        )
        return Seen(key, stored.seq, words, refused=False)

    def _begin(
        self,
        operator: Operator,
        chart: str,
        event: str,
        payload: Json,
        seen: Iterable[Seen],
        given: Given,
        back: str,
    ) -> BulkRun:
        id = "".join(letter for letter in given.get("once", "") if letter.isalnum())[:32] or uuid4().hex[:12]
        run = BulkRun(id, operator.name, chart, event, tuple(seen), back)
        self._runs[id] = run
        while len(self._runs) > RUNS_KEPT:
            self._runs.popitem(last=False)
        facts: dict[str, Any] = {"operator": operator.name, "chart": chart, "what": f"send {event}", "run": id}
        facts |= {"reason": one_line(given.get("reason", "")), "machines": len(run.machines)}
        log.info("%(operator)s: run %(run)s: %(what)s to %(machines)s of %(chart)s (%(reason)s)", facts, extra=facts)
        run.task = asyncio.create_task(self._all(run, operator, payload))
        return run

    async def _all(self, run: BulkRun, operator: Operator, payload: Json) -> None:
        client, gate = self.acting.client(operator), asyncio.Semaphore(AT_ONCE)

        async def one(seen: Seen) -> None:
            async with gate:
                try:
                    machine = client.machine(run.chart, seen.key).if_seq(seen.seq)
                    await machine.send(run.event, payload, idempotency_key=f"console/{run.id}/{quote(seen.key)}")
                except DurableFSMError as error:
                    run.refused[seen.key] = refusal_of(error)
                except Exception as error:  # noqa: BLE001 - the report has it, and the others are sent to
                    run.refused[seen.key] = type(error).__name__
                else:
                    run.taken += 1

        await asyncio.gather(*map(one, run.machines))
        facts = {"operator": run.operator, "run": run.id, "taken": run.taken, "refused": len(run.refused)}
        log.info("%(operator)s: run %(run)s is over: %(taken)s took it, %(refused)s refused", facts, extra=facts)

    # ── the report ────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, request: Request) -> Response:
        run = self._known(request)
        return HTMLResponse(render("act_run.html", self.context.frame(request), here="charts", run=run, shown=SHOWN))

    async def run_panel(self, request: Request) -> Response:
        run = self._known(request)
        return HTMLResponse(render("act_run_panel.html", self.context.frame(request), run=run, shown=SHOWN))

    def _known(self, request: Request) -> BulkRun:
        run = self._runs.get(request.query_params.get("id", ""))
        if run is None:
            raise HTTPException(
                404, "This console does not know the run. With the same id and conditions it can be continued."
            )
        self.acting.admitted(request, "bulk", run.chart)
        return run


def _groups(seen: Iterable[Seen]) -> list[tuple[str, int, bool]]:
    """The outcomes, each with its number of machines; refusals last."""
    counts = Counter((one.would, one.refused) for one in seen)
    return sorted(((would, many, bad) for (would, bad), many in counts.items()), key=lambda one: (one[2], -one[1]))


def routes(context: ConsoleContext) -> list[BaseRoute]:
    """The routes for acting, and those to log in and out; none if the console only shows."""
    options = context.logins.options
    if options is None:
        return []
    acting = Acting(context, options)
    return [*acting.routes(), *BulkActing(acting).routes()]

"""Acting on many machines: a preview of an event or a migration for each of them, then a run that does it, with a report.

A run can be continued, also by another console: each machine gets the event under an idempotency key of the run, so no
machine gets it twice; and a machine that was migrated is not migrated again.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
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
from durable_fsm.console.migrating import MigrationForesight
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
    """A machine as it was when a run was prepared, and what would happen to it, in words.

    Attributes:
        refused: whether it would refuse.
        asked: whether a run asks it at all.
    """

    key: str
    seq: int
    would: str
    refused: bool
    asked: bool = True


@dataclass(frozen=True)
class BulkWish:
    """The query of the page: which machines, and what to do with them.

    Attributes:
        event: the event to send; empty for a migration, and as long as nothing is chosen.
        conditions: those that the machines match, unless some are chosen one by one: then `keys` are those.
    """

    chart: str
    event: str = ""
    migrate: bool = False
    conditions: Mapping[str, str] = field(default_factory=dict[str, str])
    chosen: bool = False
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, query: QueryParams) -> Self:
        keys = tuple(dict.fromkeys(key for key in query.getlist("key") if key))
        migrate = bool(query.get("migrate"))
        return cls(
            query.get("chart", ""),
            "" if migrate else query.get("event", ""),
            migrate,
            {name: query[name] for name in CONDITIONS if query.get(name)},
            bool(query.get("chosen")) or bool(keys),
            keys,
        )

    @property
    def is_whole(self) -> bool:
        """Whether it says what to do."""
        return self.migrate or bool(self.event)

    @property
    def machines(self) -> dict[str, Any]:  # Any: texts, and a list of them
        """The part of the query that names the machines."""
        named = {"chosen": "1", "key": self.keys} if self.chosen else {}
        return {**self.conditions, **named}

    @property
    def query(self) -> dict[str, Any]:  # Any: as above
        """The query of the page again."""
        return {"chart": self.chart, "event": self.event, "migrate": "1" if self.migrate else "", **self.machines}


@dataclass
class BulkRun:
    """One run: an event on its way to many machines, or their migration if there is no event."""

    id: str
    operator: str
    chart: str
    event: str
    machines: tuple[Seen, ...]
    back: str
    reason: str = ""
    taken: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    task: asyncio.Task[None] | None = None

    @property
    def title(self) -> str:
        return f"Send {self.event} to many" if self.event else "Migrate many"

    @property
    def well(self) -> str:
        """The words for machines with which all went well."""
        return "took it" if self.event else "migrated"

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
        """Choose what to do, look at the preview, then run it."""
        wish = BulkWish.of(request.query_params)
        operator = self.acting.admitted(request, "bulk", wish.chart)
        if wish.is_whole:
            self.acting.admitted(request, "repair" if wish.migrate else "send", wish.chart)
        given = await form_of(request) if request.method == "POST" else {}
        if given:
            self.acting.checked(request, given)
        known = await run_in_threadpool(self.context.reader.chart, wish.chart)
        if known is None or known.chart is None:
            raise HTTPException(404, f"The chart '{wish.chart}' is not known.")
        wanted = ListQuery.of(request.query_params)
        if wanted.problem:
            raise HTTPException(422, wanted.problem)
        fields = form_fields(known.chart, wish.event) if wish.event else ()
        form = filled(fields, given) if given or (wish.is_whole and not fields) else None
        problem, seen = "" if form is None else form.problem, list[Seen]()
        if wish.chosen and not wish.keys:
            problem = "No machine is chosen. Go back, and tick those that you mean."
        elif wish.is_whole and form is not None and not problem:
            judged = self._judged(known, wish, form.payload)
            try:
                seen = await run_in_threadpool(self._seen, known, wanted, wish.keys, judged)
            except NotIndexed as error:
                raise HTTPException(422, error.what) from error
            problem = _why_not(seen, given)
            if given.get("do") == "run" and not problem:
                run = self._begin(operator, wish, form.payload, seen, given, self.context.frame(request).url)
                return RedirectResponse(self.context.frame(request).url("/act/run", id=run.id), 303)
        values: dict[str, Any] = {"known": known, "wish": wish, "problem": problem, "seen": seen[:MOST_MACHINES]}
        values |= {"fields": form.fields if form else fields, "groups": _groups(seen), "looked": form is not None}
        values |= {"given": given, "once": given.get("once") or request.query_params.get("run") or uuid4().hex[:12]}
        values |= {"asked": sum(one.asked for one in seen), "shown": SHOWN}
        values |= {f"may_{role}": operator.may(role, wish.chart) for role in ("send", "repair")}
        values |= {"exact": self.acting.code(known) is not None}
        status = 422 if problem else 200
        return HTMLResponse(render("act_bulk.html", self.context.frame(request), here="charts", **values), status)

    def _seen(
        self, known: KnownChart, wanted: ListQuery, keys: Sequence[str], judged: Callable[[str, MachineFacts], Seen]
    ) -> list[Seen]:
        """The chosen machines, or those that match, each with a preview; one more than may be, if there are more."""
        reader, found = self.context.reader, list[Seen]()
        if not keys:
            rows = every(reader, known, wanted.wanted, wanted.prefix)
            keys = [row.key for row in islice(rows, MOST_MACHINES + 1)]
        for place in range(0, min(len(keys), MOST_MACHINES + 1), TOGETHER):
            some = keys[place : place + TOGETHER]
            texts = reader.texts(known.name, some)
            for key in some:
                facts = MachineFacts.of(known.name, key, texts.get(key, {}))
                found.append(
                    judged(key, facts) if facts is not None and facts.stored is not None else _absent(key, facts)
                )
        return found

    def _judged(self, known: KnownChart, wish: BulkWish, payload: Json) -> Callable[[str, MachineFacts], Seen]:
        """How the preview of one machine is made."""
        code, now = self.acting.code(known), datetime.now(UTC)
        hide_data = self.context.options.hide_data
        foresight = MigrationForesight(known, code, hide_data=hide_data) if wish.migrate else None

        def judged(key: str, facts: MachineFacts) -> Seen:
            stored = facts.stored
            assert stored is not None
            if foresight is not None:
                fate = foresight.of(facts, stored, now)
                return Seen(key, stored.seq, fate.words, refused=fate.refused, asked=fate.moves)
            preview = preview_of(
                code,
                Describer(known.of(stored.version) or known.chart),
                stored,
                wish.event,
                payload,
                Redactor(known, facts, hide_data=True),
                now,
                paused=stored.paused is not None,
            )
            if preview.refused:
                return Seen(key, stored.seq, f"refused in {', '.join(stored.configuration)}", refused=True)
            words = ", ".join(preview.lines) or "depends on its data"
            return Seen(key, stored.seq, f"→ {', '.join(preview.leaves)}" if preview.leaves else words, refused=False)

        return judged

    def _begin(
        self,
        operator: Operator,
        wish: BulkWish,
        payload: Json,
        seen: Iterable[Seen],
        given: Given,
        url: Callable[..., str],
    ) -> BulkRun:
        id = "".join(letter for letter in given.get("once", "") if letter.isalnum())[:32] or uuid4().hex[:12]
        asked, back = tuple(one for one in seen if one.asked), url("/act/bulk", **wish.query)
        run = BulkRun(id, operator.name, wish.chart, wish.event, asked, back, given.get("reason", "").strip())
        self._runs[id] = run
        while len(self._runs) > RUNS_KEPT:
            self._runs.popitem(last=False)
        what = f"send {run.event}" if run.event else "migrate"
        facts: dict[str, Any] = {"operator": operator.name, "chart": wish.chart, "what": what, "run": id}
        facts |= {"reason": one_line(run.reason), "machines": len(run.machines)}
        log.info("%(operator)s: run %(run)s: %(what)s, %(machines)s of %(chart)s (%(reason)s)", facts, extra=facts)
        run.task = asyncio.create_task(self._all(run, operator, payload))
        return run

    async def _all(self, run: BulkRun, operator: Operator, payload: Json) -> None:
        client, gate = self.acting.client(operator), asyncio.Semaphore(AT_ONCE)

        async def one(seen: Seen) -> None:
            async with gate:
                machine = client.machine(run.chart, seen.key).if_seq(seen.seq)
                try:
                    if run.event:
                        once = f"console/{run.id}/{quote(seen.key)}"
                        await machine.send(run.event, payload, idempotency_key=once)
                    else:
                        await machine.repair(reason=run.reason, migrate=True)
                except DurableFSMError as error:
                    run.refused[seen.key] = refusal_of(error)
                except Exception as error:  # noqa: BLE001 - the report has it, and the others are asked, too
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


def _absent(key: str, facts: MachineFacts | None) -> Seen:
    gone = facts is None or facts.gone
    return Seen(key, 0, "is not there any more" if gone else "cannot be read", refused=True, asked=False)


def _why_not(seen: Sequence[Seen], given: Given) -> str:
    """Why a run cannot begin, or what is looked at is too much; empty if all is well."""
    if len(seen) > MOST_MACHINES:
        return f"There are more than {MOST_MACHINES:,} machines. Narrow the conditions."
    if given.get("do") != "run":
        return ""
    if not given.get("reason", "").strip():
        return "Give a reason: it goes to the log, with your name."
    if given.get("count") != str(len(seen)):
        return f"Now {len(seen)} machines match, and you saw {given.get('count')}. Look again, then run it."
    return "" if any(one.asked for one in seen) else "There is nothing to do with any of them."


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

"""The console as an ASGI application: its routes, and how each page is read and rendered."""

from __future__ import annotations

import difflib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from durable_fsm.admin.client import AdminRefused
from durable_fsm.admin.fleet import Counts, Page, similar_keys
from durable_fsm.admin.inventory import Filter
from durable_fsm.admin.past import no_chart, past_of
from durable_fsm.admin.recorded_stories import Story, story_of
from durable_fsm.console import fleet_reading
from durable_fsm.console.acting import introduce
from durable_fsm.console.bulk import routes as acting_routes
from durable_fsm.console.context import ConsoleContext, ConsoleOptions
from durable_fsm.console.coverage import read_coverage
from durable_fsm.console.fleet_page import (
    OVERLAYS,
    USES_TRAFFIC,
    WINDOWS,
    FleetScene,
    fleet_page,
    fleet_panels,
    fleet_print,
)
from durable_fsm.console.list_page import (
    ChartCard,
    ListQuery,
    MachinesScene,
    TroubleGroup,
    charts_page,
    csv_lines,
    grave,
    groups_of_troubles,
    machines_page,
    today,
    troubles_page,
)
from durable_fsm.console.live import FleetPoller, LivePoller, Viewer
from durable_fsm.console.logins import ActingOptions
from durable_fsm.console.machine_page import machine_page, machine_panels
from durable_fsm.console.machine_reading import MachineQuery, machine_scene, read_machine
from durable_fsm.console.reading import KnownChart
from durable_fsm.console.rendering import PageFrame, assets, fingerprint, font, render, without_addresses
from durable_fsm.console.request_guard import LOOPBACK, RequestGuard
from durable_fsm.console.responses import download_of, page_of, slug_of, stream_of
from durable_fsm.console.traffic import FleetTraffic
from durable_fsm.console.versions_page import VersionsScene, chosen, versions_page
from durable_fsm.diagram.layout.engine import NoEngine
from durable_fsm.diagram.svg import to_svg
from durable_fsm.errors import NotIndexed, quoted
from durable_fsm.explore.proofs import Imported
from durable_fsm.plan.plan_file import read_plan

FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}
NOT_KEPT = {"cache-control": "no-store"}
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

GLANCE, PATIENCE = 0.3, 10.0
"""Seconds in which the page of all charts waits for their traffic, which a large fleet has much of; and its panel."""

Handler_ = Callable[[Request], Awaitable[Response]]


def app(
    *,
    admin_url: str = "http://localhost:9070",
    ingress_url: str | None = None,
    token: str | None = None,
    poll: timedelta = timedelta(milliseconds=200),
    hide_data: bool = False,
    allow_hosts: Iterable[str] = (),
    root_path: str = "",
    coverage: Iterable[Path] = (),
    plan: Path | None = None,
    acting: ActingOptions | None = None,
    imports: Mapping[str, tuple[str, str]] | None = None,
    verify: Any = True,  # Any: as httpx has it
) -> ASGIApp:
    """Make the console an ASGI application, to be served alone or mounted behind a login of your own.

    It shows everything about every machine of the server to everybody who reaches it, except what charts redact. By default
    it answers only to the names of this computer.

    Args:
        admin_url: Restate's admin API.
        ingress_url: Restate's ingress, for acting.
        token: sent to both as bearer token.
        poll: how often a machine that has viewers is read, at most.
        hide_data: show no data at all.
        allow_hosts: more names under which browsers may reach it; `*` allows every name.
        root_path: the path under which a proxy mounts it, if the proxy removes it from requests.
        coverage: files of `pytest --fsm-coverage`, `durable-fsm explore --save` or `--json`: which transitions tests took.
        plan: a file that `durable-fsm plan` wrote, whose verdicts the versions of a chart show.
        acting: the people who may act, and how; a console without them only shows.
        imports: where exported tests find charts: module and name, by name of the chart.
        verify: as `httpx` has it: whether certificates are checked, and by what.
    """
    headers = {"authorization": f"Bearer {token}"} if token else {}
    hosts = frozenset(allow_hosts) | LOOPBACK
    options = ConsoleOptions(
        admin_url,
        ingress_url,
        headers,
        verify,
        poll,
        hide_data,
        hosts,
        root_path,
        plan=None if plan is None else read_plan(plan),
        coverage=read_coverage(coverage),
        acting=acting,
        imports=imports or {},
    )
    return site_of(ConsoleContext(options))


def site_of(context: ConsoleContext) -> ASGIApp:
    """The application of a context, behind its request guard."""
    site = Site(context)
    errors: Mapping[Any, Any] = {
        404: site.not_found,
        HTTPException: site.refused,
        AdminRefused: site.unreachable,
    }  # Any: as Starlette has it

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        yield
        await context.aclose()

    routes = [*site.routes(), *acting_routes(context)]
    return RequestGuard(Starlette(routes=routes, exception_handlers=errors, lifespan=lifespan), context.options.hosts)


class Site:
    """The routes of one console."""

    def __init__(self, context: ConsoleContext) -> None:
        self.context = context

    def routes(self) -> list[BaseRoute]:
        """Everything that can be asked for without acting."""
        return [
            Route("/", self._page(self.home)),
            Route("/troubles", self._page(self.troubles)),
            Route("/panel/troubles", self._page(self.troubles_panel)),
            Route("/charts", self._page(self.charts)),
            Route("/panel/charts", self._page(self.charts_panel)),
            Route("/chart/{chart}", self._page(self.fleet)),
            Route("/panel/fleet", self._page(self.fleet_panel)),
            Route("/chart/{chart}/machines", self._page(self.machines)),
            Route("/chart/{chart}/machines.csv", self._page(self.machines_csv)),
            Route("/chart/{chart}/versions", self._page(self.versions)),
            Route("/chart/{chart}/machine", self._page(self.machine)),
            Route("/chart/{chart}/machine.svg", self._page(self.machine_svg)),
            Route("/chart/{chart}/machine.json", self._page(self.machine_data)),
            Route("/chart/{chart}/machine.story.jsonl", self._page(self.machine_story)),
            Route("/chart/{chart}/machine.test.py", self._page(self.machine_test)),
            Route("/panel/machine", self._page(self.machine_panel)),
            Route("/live", self._page(self.live)),
            Route("/health", self.health),
            Route("/static/{hash}/{name}", self.asset),
        ]

    def _page(self, handler: Handler_) -> Handler_:
        """A route of a page: it knows the operator, and browsers do not keep it."""

        async def answer(request: Request) -> Response:
            introduce(self.context, request)
            response = await handler(request)
            for name, value in NOT_KEPT.items():
                response.headers.setdefault(name, value)
            return response

        return answer

    # ── pages ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def home(self, request: Request) -> Response:
        return RedirectResponse(f"{self.context.root(request)}/troubles")

    async def troubles(self, request: Request) -> Response:
        return HTMLResponse(troubles_page(*await self._troubles(request)))

    async def troubles_panel(self, request: Request) -> Response:
        frame, groups = await self._troubles(request)
        return HTMLResponse(render("troubles_list.html", frame, groups=groups, total=sum(one.many for one in groups)))

    async def _troubles(self, request: Request) -> tuple[PageFrame, list[TroubleGroup]]:
        found, answer = await self.context.read("troubles", lambda: fleet_reading.troubles(self.context.reader))
        self.context.troubles = grave(found)
        return self.context.frame(request, answer), groups_of_troubles(found)

    async def charts(self, request: Request) -> Response:
        return await page_of(charts_page, *await self._charts(request, GLANCE))

    async def charts_panel(self, request: Request) -> Response:
        frame, cards = await self._charts(request, PATIENCE)
        return await page_of(render, "charts_tiles.html", frame, cards=cards)

    async def _charts(self, request: Request, patience: float) -> tuple[PageFrame, list[ChartCard]]:
        """The charts with their numbers; without the traffic of their machines, if that is not counted in this time."""
        reader = self.context.reader

        def read() -> list[ChartCard]:
            return [ChartCard(known, fleet_reading.counts(reader, name)) for name, known in reader.charts().items()]

        def count() -> dict[str, FleetTraffic]:
            return {name: fleet_reading.traffic(reader, name, WINDOWS["24h"]) for name in reader.charts()}

        cards, answer = await self.context.read("charts", read)
        traffic = await self.context.within(patience, "traffic", count) or {}
        found = [replace(card, traffic=traffic.get(card.known.name)) for card in cards]
        return self.context.frame(request, answer), found

    async def known(self, name: str) -> KnownChart:
        """A chart that the server knows.

        Raises:
            HTTPException: there is none, 404.
        """
        charts, _ = await self.context.read("known", self.context.reader.charts)
        if name not in charts:
            raise HTTPException(404, unknown_chart(name, charts))
        return charts[name]

    async def fleet(self, request: Request) -> Response:
        name: str = request.path_params["chart"]
        return await page_of(fleet_page, await self._fleet(request, await self.known(name)))

    async def fleet_panel(self, request: Request) -> Response:
        known = await self.known(request.query_params.get("chart", ""))
        return await page_of(fleet_panels, await self._fleet(request, known))

    async def _fleet(self, request: Request, known: KnownChart) -> FleetScene:
        query, reader = request.query_params, self.context.reader
        overlay, window = query.get("overlay", "population"), query.get("window", "24h")
        overlay = overlay if overlay in OVERLAYS else "population"
        window = window if window in WINDOWS else "24h"
        state, version = query.get("state", ""), query.get("version", "")
        wanted = Filter(state=state, version=version or None)

        def read() -> tuple[Counts, FleetTraffic | None, Page | None]:
            counts = fleet_reading.counts(reader, known.name)
            traffic = fleet_reading.traffic(reader, known.name, WINDOWS[window]) if overlay in USES_TRAFFIC else None
            return counts, traffic, fleet_reading.page(reader, known, wanted, size=12) if state else None

        (counts, traffic, some), answer = await self.context.read(f"fleet {known.name} {request.query_params}", read)
        rows = () if some is None else tuple(fleet_reading.neighbour_of(row, known.chart) for row in some.machines)
        reports = self.context.options.coverage.get(known.name, ())
        frame, print = self.context.frame(request, answer), fleet_print(counts)
        return FleetScene(frame, known, counts, overlay, window, state, version, rows, traffic, reports, print)

    async def machines(self, request: Request) -> Response:
        known = await self.known(request.path_params["chart"])
        query, reader = ListQuery.of(request.query_params), self.context.reader

        def read() -> tuple[Page | None, Counts, str]:
            counts = fleet_reading.counts(reader, known.name)
            try:
                found = fleet_reading.page(reader, known, query.wanted, prefix=query.prefix, after=query.after)
            except NotIndexed as error:
                return None, counts, error.what
            return found, counts, ""

        (found, counts, problem), answer = await self.context.read(f"list {known.name} {request.query_params}", read)
        frame = self.context.frame(request, answer)
        rows, after = ((), None) if found is None else (found.machines, found.next)
        scene = MachinesScene(frame, known, replace(query, problem=problem or query.problem), rows, after, counts)
        return HTMLResponse(machines_page(scene))

    async def machines_csv(self, request: Request) -> Response:
        known = await self.known(request.path_params["chart"])
        query = ListQuery.of(request.query_params)
        if query.problem:
            raise HTTPException(422, query.problem)
        rows = fleet_reading.every(self.context.reader, known, query.wanted, query.prefix)
        try:  # refused here: an answer that has begun could only break off
            first = await run_in_threadpool(lambda: [*islice(rows, 1)])
        except NotIndexed as error:
            raise HTTPException(422, error.what) from error
        lines = csv_lines(chain(first, rows))
        headers = {"content-disposition": f'attachment; filename="{known.name}-{today()}.csv"'}
        return StreamingResponse(iterate_in_threadpool(lines), media_type="text/csv", headers=headers)

    async def versions(self, request: Request) -> Response:
        known = await self.known(request.path_params["chart"])
        query = request.query_params
        counts, answer = await self.context.read(
            f"counts {known.name}", lambda: fleet_reading.counts(self.context.reader, known.name)
        )
        old, new = chosen(known, query.get("from", ""), query.get("to", ""))
        frame, plan = self.context.frame(request, answer), self.context.options.plan
        return await page_of(versions_page, VersionsScene(frame, known, counts, old, new, plan))

    async def machine(self, request: Request) -> Response:
        query = MachineQuery.of(request.path_params["chart"], request.query_params)
        read, answer = await self.context.read(f"machine {query}", lambda: read_machine(self.context.reader, query))
        frame = self.context.frame(request, answer)
        if read.facts is None:
            near = await run_in_threadpool(similar_keys, self.context.reader.admin, query.chart, query.key)
            raise HTTPException(404, unknown_key(query.chart, query.key, near))
        hide_data = self.context.options.hide_data
        return await page_of(lambda: machine_page(machine_scene(read, query, frame, hide_data=hide_data)))

    async def machine_panel(self, request: Request) -> Response:
        query = MachineQuery.of(request.query_params.get("chart", ""), request.query_params)
        read, answer = await self.context.read(
            f"panel {query}", lambda: read_machine(self.context.reader, query, beside=False)
        )
        if read.facts is None:
            return PlainTextResponse("There is no such machine.\n", 404)
        life = "" if read.facts.stored is None else read.facts.stored.life
        if life != request.query_params.get("life", life):
            return PlainTextResponse("The machine of this page is gone; its key has another one.\n", 410)
        frame, hide_data = self.context.frame(request, answer), self.context.options.hide_data
        return await page_of(lambda: machine_panels(machine_scene(read, query, frame, hide_data=hide_data)))

    async def machine_svg(self, request: Request) -> Response:
        query = MachineQuery.of(request.path_params["chart"], request.query_params)
        read, answer = await self.context.read(
            f"panel {query}", lambda: read_machine(self.context.reader, query, beside=False)
        )
        chart = None if read.known is None else read.known.chart
        if chart is None or read.facts is None:
            raise HTTPException(404, "There is no diagram.")
        machine = machine_scene(read, query, self.context.frame(request, answer), hide_data=True).machine
        try:
            drawing = await run_in_threadpool(
                lambda: to_svg(chart, theme="auto", active=machine.active, taken=machine.taken)
            )
        except NoEngine as error:
            raise HTTPException(404, "There is no diagram.") from error
        return download_of(drawing, f"{slug_of(query)}.svg", "image/svg+xml")

    async def machine_data(self, request: Request) -> Response:
        query = MachineQuery.of(request.path_params["chart"], request.query_params)
        read, _ = await self.context.read(
            f"panel {query}", lambda: read_machine(self.context.reader, query, beside=False)
        )
        stored = None if read.facts is None else read.facts.stored
        redactor = read.redactor(hide_data=self.context.options.hide_data)
        if stored is None or not redactor.is_open:
            raise HTTPException(404, "There is no data that may be shown.")
        text = json.dumps(redactor.value(stored.data), ensure_ascii=False, indent=2)
        return download_of(text, "data.json", "application/json")

    async def _story(self, request: Request) -> tuple[MachineQuery, Story]:
        """The story of a machine, from its beginning to the moment that is looked at."""
        query = MachineQuery.of(request.path_params["chart"], request.query_params)
        whole = query._replace(n=1)
        read, _ = await self.context.read(
            f"panel {whole}", lambda: read_machine(self.context.reader, whole, beside=False)
        )
        stored, known = None if read.facts is None else read.facts.stored, read.known
        if stored is None or not read.redactor(hide_data=self.context.options.hide_data).is_open:
            raise HTTPException(404, "There is no history that may be shown.")
        chart = None if known is None else known.of(stored.version) or known.chart
        past = past_of(read.entries, stored.configuration, chart, no_chart if known is None else known.of)
        story = story_of(past, chart, query.key, status=stored.status.value, upto=query.n)
        if story.problem:
            raise HTTPException(404, story.problem)
        return query, story

    async def machine_story(self, request: Request) -> Response:
        query, story = await self._story(request)
        return download_of(story.text, f"{slug_of(query)}.story.jsonl", "application/jsonl")

    async def machine_test(self, request: Request) -> Response:
        query, story = await self._story(request)
        imported = self.context.options.imports.get(query.chart)
        text = story.as_test(query.chart, query.key, None if imported is None else Imported(*imported))
        return download_of(text, f"test_{slug_of(query).lower().replace('-', '_')}.py", "text/x-python")

    # ── live ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def live(self, request: Request) -> Response:
        query = request.query_params
        chart, key = query.get("chart", ""), query.get("key", "")
        await self.known(chart)  # so that nothing else gets a poller
        if not key:
            return self._live_fleet(chart, query.get("print", ""))
        seen = request.headers.get("last-event-id") or query.get("seen", "")
        viewer = Viewer(key, seen, "" if request.headers.get("last-event-id") else query.get("print", ""))
        poller = self.context.poller(
            f"machines {chart}", lambda: LivePoller(self.context.reader, chart, self.context.options.poll)
        )
        return stream_of(poller.watch(viewer))

    def _live_fleet(self, chart: str, print: str) -> Response:
        reader = self.context.reader

        async def count() -> str:
            return fleet_print(await run_in_threadpool(fleet_reading.counts, reader, chart))

        poller = self.context.poller(f"fleet {chart}", lambda: FleetPoller(reader, chart, count))
        return stream_of(poller.watch(Viewer("", "", print)))

    # ── the rest ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def health(self, request: Request) -> Response:
        """Whether the console runs; it says nothing about the server."""
        return PlainTextResponse("ok\n")

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.path_params["hash"] != fingerprint():
            return PlainTextResponse("This file belongs to another build of the console.\n", 404)
        if name == "inter.ttf" and font() is not None:
            return FileResponse(str(font()), media_type="font/ttf", headers=FOR_EVER)
        content = assets().get(name)
        if content is None:
            return PlainTextResponse("There is no such file.\n", 404)
        return Response(content, media_type=TYPES[Path(name).suffix], headers=FOR_EVER)

    async def not_found(self, request: Request, error: Exception) -> Response:
        detail = error.detail if isinstance(error, HTTPException) else ""
        return await self._problem(request, 404, "There is no such page", "" if detail == "Not Found" else detail)

    async def refused(self, request: Request, error: Exception) -> Response:
        """Refuse an operator, or a visitor who has not logged in."""
        status, detail = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
        if status == 401 and request.method == "GET" and self.context.logins.has_login:
            to = f"{self.context.root(request)}{request.url.path.removeprefix(self.context.root(request))}"
            to = f"{to}?{request.url.query}" if request.url.query else to
            return RedirectResponse(
                PageFrame(root=self.context.root(request)).url("/login", to=to), 303, headers=NOT_KEPT
            )
        return await self._problem(request, status, "That was refused", detail)

    async def unreachable(self, request: Request, error: Exception) -> Response:
        problem = without_addresses(str(error))
        if request.url.path.endswith(".json") or "/panel/" in request.url.path:
            return JSONResponse({"problem": problem}, 503, headers=NOT_KEPT)
        return await self._problem(request, 503, "The server does not answer", problem)

    async def _problem(self, request: Request, status: int, title: str, detail: str) -> Response:
        async def page(request: Request) -> Response:
            frame, operator = self.context.frame(request), request.state.operator
            chart, key = request.path_params.get("chart", ""), request.query_params.get("key", "")
            may_create = status == 404 and operator is not None and operator.may("send", chart)
            create = frame.url("/act/create", chart=chart, key=key) if may_create and key else ""
            told = {"here": "", "title": title, "detail": detail, "retry": status == 503, "create": create}
            return HTMLResponse(render("problem.html", frame, **told), status)

        return await self._page(page)(request)


def unknown_key(chart: str, key: str, near: Iterable[str]) -> str:
    """Say that there is no machine of a key, and which keys are similar."""
    names = list(near)
    hint = f" Did you mean {quoted(names)}?" if names else ""
    return f"There is no machine {chart}/{key}.{hint}"


def unknown_chart(name: str, known: Iterable[str]) -> str:
    """Say that there is no chart of a name, and the nearest."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = (
        f" Did you mean '{close[0]}'?" if close else f" There are {quoted(names)}." if names else " There are none yet."
    )
    return f"There is no chart '{name}'.{hint}"

"""Make the application of a site's pages: templates, assets, live updates, and headers that allow nothing else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib.util
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from durable_fsm import chart_from
from durable_fsm.core.chart import Chart
from durable_fsm.diagram.svg import to_svg
from durable_fsm.diagram.theme import css

__all__ = ["Pages", "changes"]

HERE = Path(__file__).parent
LOOK_AGAIN = timedelta(seconds=0.5)
REMEMBERED = 256
T = TypeVar("T")


class Pages:
    """The pages of one application.

    Args:
        name: the site's name, in the header and in titles.
        folder: its templates; those of `machines/pages` are found too.
        assets: its own style sheets and pictures, found below `/own`.
        menu: the links in the header, by path.
        charts: what templates may draw by name: `diagram(Order, states)`.
        helpers: whatever else templates may use.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Path,
        assets: Path | None = None,
        menu: Mapping[str, str] | None = None,
        charts: Sequence[type] = (),
        **helpers: object,
    ) -> None:
        self._assets = assets
        self._templates = Environment(
            loader=FileSystemLoader([folder, HERE / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        charted = {chart.__name__: chart for chart in charts}
        self._templates.globals |= {"site": name, "menu": menu or {}, "diagram": diagram, **charted, **helpers}

    def render(self, template: str, **values: object) -> str:
        """Fill in a template."""
        return self._templates.get_template(template).render(values)

    def show(self, template: str, *, status: int = 200, **values: object) -> Response:
        """Answer with a page."""
        return HTMLResponse(self.render(template, **values), status)

    def live(self, template: str, values: AsyncIterator[Mapping[str, object]]) -> Response:
        """Answer with server-sent events: the template, filled in with each of the values, as long as there are any."""

        async def events() -> AsyncIterator[str]:
            async for each in values:
                lines = self.render(template, **each).splitlines()
                yield "".join(f"data: {line}\n" for line in lines) + "\n"
            yield "event: end\ndata:\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers={"cache-control": "no-store"})

    def app(self, routes: Sequence[BaseRoute]) -> ASGIApp:
        """Make the ASGI application of these routes."""
        ours: list[BaseRoute] = [
            Route("/health", _health),
            Route("/assets/inter.ttf", _font),
            Mount("/assets", StaticFiles(directory=HERE / "assets"), name="assets"),
        ]
        if self._assets is not None:
            ours.append(Mount("/own", StaticFiles(directory=self._assets), name="own"))
        errors: Mapping[Any, Any] = {404: self._not_found}  # Any: as Starlette has it
        return _OnlyThisSite(Starlette(routes=[*routes, *ours], exception_handlers=errors))

    async def _not_found(self, request: Request, _error: Exception) -> Response:
        return self.show("not_found.html", status=404, path=request.url.path)


async def changes(
    read: Callable[[], Awaitable[T]], *, every: timedelta = LOOK_AGAIN, last: Callable[[T], bool] = lambda _: False
) -> AsyncIterator[T]:
    """Give a value now, and whenever it has changed, until it is the last one."""
    before = object()
    while True:
        value = await read()
        if value != before:
            yield value
        if last(value):
            return
        before = value
        await asyncio.sleep(every.total_seconds())


def diagram(definition: Any, active: Collection[str] = (), *, id_prefix: str = "") -> Markup:  # Any: as `chart_from`
    """Draw a chart in the page's colours, with these states highlighted."""
    chart = definition if isinstance(definition, Chart) else _chart(definition)
    drawing = (chart.name, chart.digest, frozenset(active), id_prefix)
    if drawing not in _drawings:
        if len(_drawings) >= REMEMBERED:
            _drawings.pop(next(iter(_drawings)))
        _drawings[drawing] = Markup(to_svg(chart, theme="vars", active=active, id_prefix=id_prefix))
    return _drawings[drawing]


_chart = cache(chart_from)
_drawings: dict[tuple[str, str, frozenset[str], str], Markup] = {}
"""The last drawings: to lay out a chart takes longer than everything else on a page."""


# ── headers ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_DIAGRAM_STYLE = base64.b64encode(hashlib.sha256(css("vars").encode()).digest()).decode()
_HEADERS = {
    "content-security-policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"style-src 'self' 'sha256-{_DIAGRAM_STYLE}'",  # a diagram brings its style sheet
            *(f"{kind}-src 'self'" for kind in ("img", "font", "connect")),
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class _OnlyThisSite:
    """Forbid the browser to load or run anything foreign, and other sites to post here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            await send(message)

        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            origin = dict(scope["headers"]).get(b"sec-fetch-site", b"none")
            if origin not in (b"same-origin", b"none"):
                return await PlainTextResponse("Forms of other sites are refused.", 403)(scope, receive, send)
        await self._app(scope, receive, with_headers)


# ── what every site has ───────────────────────────────────────────────────────────────────────────────────────────────


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok")


async def _font(_request: Request) -> Response:
    """Inter, in which diagrams are measured; without its package, the page uses a font of the system."""
    spec = importlib.util.find_spec("fontpkg_inter")
    found = [] if spec is None or spec.origin is None else sorted(Path(spec.origin).parent.glob("files/Inter[[]*.ttf"))
    if not found:
        return PlainTextResponse("fontpkg-inter is not installed", 404)
    return FileResponse(found[0], media_type="font/ttf", headers={"cache-control": "max-age=86400"})

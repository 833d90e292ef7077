"""Shared by all pages of one console, which read the server through it without blocking the event loop."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar, cast

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from durable_fsm.admin.client import Admin, AdminRefused
from durable_fsm.client import Client
from durable_fsm.console.coverage import CoverageReport
from durable_fsm.console.formatting import now_ms
from durable_fsm.console.live import LivePoller
from durable_fsm.console.logins import ActingOptions, OperatorLogins
from durable_fsm.console.reading import ServerReader
from durable_fsm.console.rendering import THEMES, PageFrame, without_addresses
from durable_fsm.plan.plan_file import SavedPlan

T = TypeVar("T")

ANSWERS_KEPT = 200

PATIENCE = timedelta(seconds=3)
"""How long a request of an operator is repeated while the server does not answer."""


@dataclass(frozen=True)
class ConsoleOptions:
    """How a console was started.

    Attributes:
        admin_url: Restate's admin API; it never reaches a browser.
        ingress_url: Restate's ingress, for acting; None if this console only shows.
        headers: sent with every request to the server, such as a bearer token.
        poll: how often a machine that has viewers is read, at most.
        hide_data: whether data is shown at all.
        hosts: the names under which browsers may reach it.
        root_path: the path under which a proxy mounts it.
        plan: what a build that is not deployed yet would do with each machine.
        coverage: what tests and explorations took of each chart, by its name.
        acting: who may act, and how; None for a console that only shows.
        imports: where exported tests find charts: module and name, by name of the chart.
    """

    admin_url: str
    ingress_url: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    verify: Any = True  # Any: as httpx has it
    poll: timedelta = timedelta(milliseconds=200)
    hide_data: bool = False
    hosts: frozenset[str] = frozenset()
    root_path: str = ""
    plan: SavedPlan | None = None
    coverage: Mapping[str, tuple[CoverageReport, ...]] = field(default_factory=dict[str, "tuple[CoverageReport, ...]"])
    acting: ActingOptions | None = None
    imports: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])


@dataclass(frozen=True)
class ReadAnswer:
    """A value that was read: when, how long that took, and why it could not be read again since."""

    value: Any  # Any: of the function that read it
    as_of: int
    took: float
    stale: str = ""


class ConsoleContext:
    """Shared by the pages.

    Attributes:
        reader: reads the server; its methods block.
    """

    def __init__(self, options: ConsoleOptions) -> None:
        self.options = options
        self._http = httpx.Client(headers=options.headers, verify=options.verify, timeout=10.0)
        self.reader = ServerReader(Admin(options.admin_url, self._http))
        self._answers: OrderedDict[str, ReadAnswer] = OrderedDict()
        self._pollers: dict[str, LivePoller] = {}
        self._readings: dict[str, asyncio.Task[Any]] = {}
        self.troubles: int | None = None
        self.logins = OperatorLogins(options.acting)
        self._client: Client | None = None
        self._client_http: httpx.AsyncClient | None = None

    def client(self) -> Client:
        """A client for the machines of the server, which signs nothing."""
        if self._client is None:
            headers, verify, url = self.options.headers, self.options.verify, self.options.ingress_url
            self._client_http = httpx.AsyncClient(headers=headers, verify=verify)
            self._client = Client(url or "http://localhost:8080", http=self._client_http, patience=PATIENCE)
        return self._client

    def close(self) -> None:
        """Close the connections to the server."""
        self._http.close()

    async def aclose(self) -> None:
        """Close the connections to the server, those of operators too."""
        if self._client_http is not None:
            await self._client_http.aclose()
            self._client = self._client_http = None

    async def read(self, name: str, read: Callable[[], T]) -> tuple[T, ReadAnswer]:
        """Read in a thread; if the server does not answer, give the last answer, if there is one.

        Raises:
            AdminRefused: the server does not answer, and this was never read.
        """
        begun = time.monotonic()
        try:
            value = await run_in_threadpool(read)
        except AdminRefused as error:
            found = self._answers.get(name)
            if found is None:
                raise
            stale = ReadAnswer(found.value, found.as_of, found.took, without_addresses(str(error)))
            return cast("T", found.value), stale
        answer = ReadAnswer(value, now_ms(), time.monotonic() - begun)
        self._answers[name] = answer
        self._answers.move_to_end(name)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return value, answer

    async def within(self, seconds: float, name: str, read: Callable[[], T]) -> T | None:
        """Read in a thread; None if that takes longer, or the server does not answer.

        The reading continues, once for all who ask for this name meanwhile.
        """
        task = self._readings.get(name)
        if task is None:

            async def reading() -> T | None:
                try:
                    return await run_in_threadpool(read)
                except AdminRefused:
                    return None
                finally:
                    self._readings.pop(name, None)

            task = self._readings[name] = asyncio.create_task(reading())
        done, _ = await asyncio.wait([task], timeout=seconds)
        return cast("T | None", task.result()) if done else None

    def poller(self, name: str, make: Callable[[], LivePoller]) -> LivePoller:
        """The poller of this name; the first viewer makes it."""
        if name not in self._pollers:
            self._pollers[name] = make()
        return self._pollers[name]

    def frame(self, request: Request, answer: ReadAnswer | None = None) -> PageFrame:
        """The frame of the page that a request asks for."""
        theme = request.cookies.get("theme", "")
        return PageFrame(
            root=self.root(request),
            theme=theme if theme in THEMES else "",
            operator=request.state.operator,
            acting=request.state.acting,
            csrf=request.state.csrf,
            troubles=self.troubles,
            as_of=now_ms() if answer is None else answer.as_of,
            took=0.0 if answer is None else answer.took,
            stale="" if answer is None else answer.stale,
        )

    def root(self, request: Request) -> str:
        """The path under which browsers see the console."""
        mounted: str = request.scope.get("root_path", "")
        return (self.options.root_path or mounted).rstrip("/")

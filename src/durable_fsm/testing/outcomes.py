"""Outcomes of activities that a story decides, and the application whose activities wait for them.

`durable-fsm explore --on-server` plays a counterexample on a real server. The service process imports
`durable_fsm.testing.outcomes:application`: the chart of the environment, with activities that ask for their outcome. The
process that plays the story serves them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any
from urllib.parse import quote, unquote

import httpx

from durable_fsm.core.chart import Activity, Chart, Retry
from durable_fsm.core.values import Json
from durable_fsm.errors import TerminalError
from durable_fsm.frontends.locate import locate_chart
from durable_fsm.restate.app import app

TARGET, URL, TRUSTED = "DURABLE_FSM_REPLAYED", "DURABLE_FSM_OUTCOMES", "DURABLE_FSM_REPLAYED_TRUSTED"
UNDOES = "undo"
"""The name under which all work of undoing asks for its outcome."""

PATIENCE_SECONDS = 600.0


class StoryOutcomes:
    """Gives each run of an activity its outcome once the story arrives there; the same again after a kill."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._asking: dict[str, list[str]] = {}
        self._given: dict[tuple[str, str], Json] = {}
        self._is_over = False
        self.url = ""

    @contextmanager
    def served(self) -> Generator[None]:
        """Serve them on a port of the loopback."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Answer, self))
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()
            server.shutdown()
            server.server_close()

    def give(self, activity: str, outcome: Json, patience: float) -> bool:
        """Give the latest run of an activity its outcome, as soon as it asks; False if none does."""
        with self._changed:
            waits = self._changed.wait_for(lambda: bool(self._waiting(activity)), patience)
            if waits:
                self._given[activity, self._waiting(activity)[-1]] = outcome
                self._changed.notify_all()
            return waits

    def ask(self, activity: str, run: str) -> Json:
        """Wait for the outcome of a run."""
        with self._changed:
            runs = self._asking.setdefault(activity, [])
            if run not in runs:
                runs.append(run)
                self._changed.notify_all()
            self._changed.wait_for(lambda: (activity, run) in self._given or self._is_over)
            return self._given.get((activity, run), {"error": {"message": "the story is over"}})

    def _waiting(self, activity: str) -> list[str]:
        return [run for run in self._asking.get(activity, ()) if (activity, run) not in self._given]


class _Answer(BaseHTTPRequestHandler):
    """One question for an outcome: `/<activity>/<run>`."""

    def __init__(self, outcomes: StoryOutcomes, *arguments: Any) -> None:  # Any: those of the base class
        self._outcomes = outcomes
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer it once the outcome is known."""
        activity, _, run = self.path.lstrip("/").partition("/")
        content = json.dumps(self._outcomes.ask(unquote(activity), unquote(run))).encode()
        try:
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            return  # the service was killed while it waited

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


# ── in the service ────────────────────────────────────────────────────────────────────────────────────────────────────


async def outcome_of(activity: str, run: str) -> Any:  # Any: JSON, as the story says
    """Ask for the outcome of a run, and return or raise it."""
    url = f"{os.environ[URL]}/{quote(activity, safe='')}/{quote(run, safe='')}"
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_SECONDS) as client:
        outcome = (await client.get(url)).json()
    if "error" not in outcome:
        return outcome["done"]
    error = outcome["error"]
    kind = type(str(error.get("type") or "TerminalError"), (TerminalError,), {})
    raise kind(str(error.get("message") or ""), code=error.get("code"))


def waiting_chart(chart: Chart) -> Chart:
    """The chart, with activities that ask for their outcome, and events that a sender may send in place of a topic."""
    states = {id: replace(state, activities=tuple(map(_waits, state.activities))) for id, state in chart.states.items()}
    named = {event for topic in chart.hosting.sources for event in topic.events}
    named |= {event for webhook in chart.hosting.webhooks for event in webhook.events}
    events = {name: replace(event, public=True) if name in named else event for name, event in chart.events.items()}
    hosting = replace(chart.hosting, sources=(), webhooks=())
    return replace(chart, states=states, events=events, hosting=hosting, work=tuple(map(_does_nothing, chart.work)))


def _does_nothing(activity: Activity) -> Activity:
    """Work apart from any state, whose outcome no story tells."""

    def work() -> None: ...

    return replace(activity, run=work, each=None, undo=None)


def _waits(activity: Activity) -> Activity:
    async def work(ctx: Any) -> Any:  # Any: the context of activities, and JSON
        found: Json = await ctx.run("outcome", outcome_of, activity.id, ctx.stable_id)
        if activity.each is None or not isinstance(found, list):
            return found
        return found[0] if found else None  # the result of all items; this is one of them

    async def undo(ctx: Any) -> None:  # Any: as above
        await ctx.run("outcome", outcome_of, UNDOES, ctx.stable_id)

    once = Retry(attempts=1)
    undone = None if activity.undo is None else replace(activity.undo, run=undo, retry=once)
    return replace(activity, run=work, retry=once, timeout=None, undo=undone)


def __getattr__(name: str) -> Any:  # Any: an ASGI application
    """`application` is made when the service process asks for it."""
    if name == "application":
        found = locate_chart(os.environ[TARGET], trusted=os.environ.get(TRUSTED) == "1").chart
        return app(waiting_chart(found))
    raise AttributeError(name)

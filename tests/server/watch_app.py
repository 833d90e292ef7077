"""Charts for the tests of logs, traces, redaction and exposure, with code that fails wherever it can.

Whatever the process logs, traces and counts is written to files, one JSON object a line.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import restate
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from pydantic import BaseModel, field_validator
from statemachine import State, StateChart

from durable_fsm import (
    ActivityContext,
    History,
    Incoming,
    JsonFormatter,
    Kafka,
    Retry,
    TerminalError,
    TransitionsConfig,
    Webhook,
    activity,
    after,
    app,
    defer,
    durable,
    event,
    ignore,
)
from durable_fsm.core.sources import Request
from durable_fsm.frontends.checks.redaction import CLOSABLE

QUICKLY = Retry(attempts=3, initial=timedelta(milliseconds=20))
SHORT = timedelta(milliseconds=200)
VERSION = os.environ.get("WATCH_VERSION", "1")


# ── where it is written down ──────────────────────────────────────────────────────────────────────────────────────────


class SpansTo(SpanExporter):
    """Writes every span to a file."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self.path.open("a") as file:
            for span in spans:
                file.write(json.dumps(json.loads(span.to_json(indent=None))) + "\n")
        return SpanExportResult.SUCCESS


class CountsTo(MetricExporter):
    """Writes what has been counted so far to a file, over what was there."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **_: Any) -> MetricExportResult:
        found = [
            {"name": metric.name, **point.attributes, "count": point.value}
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        ]
        whole = self.path.with_suffix(".new")
        whole.write_text(json.dumps(found))
        whole.rename(self.path)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **_: Any) -> None: ...


if "WATCH_LOG" in os.environ:
    handler = logging.FileHandler(os.environ["WATCH_LOG"])
    handler.setFormatter(JsonFormatter())
    logging.getLogger("durable_fsm").addHandler(handler)
    logging.getLogger("durable_fsm").setLevel(logging.DEBUG)
if "WATCH_SPANS" in os.environ:
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(SpansTo(os.environ["WATCH_SPANS"])))
    trace.set_tracer_provider(tracing)
if "WATCH_COUNTS" in os.environ:
    reader = PeriodicExportingMetricReader(CountsTo(os.environ["WATCH_COUNTS"]), export_interval_millis=100)
    metrics.set_meter_provider(MeterProvider([reader]))


# ── a machine that does a bit of everything ───────────────────────────────────────────────────────────────────────────


class Job(BaseModel):
    fail: int = 0
    tries: int = 0


class Begin(BaseModel):
    fail: int = 0


ATTEMPTS: dict[str, int] = {}


async def work(ctx: ActivityContext, data: Job) -> str:
    """Fail some times, then end."""

    def attempt() -> str:
        ATTEMPTS[ctx.stable_id] = ATTEMPTS.get(ctx.stable_id, 0) + 1
        if ATTEMPTS[ctx.stable_id] <= data.fail:
            raise RuntimeError(f"try {ATTEMPTS[ctx.stable_id]}")
        return "done"

    await ctx.run("prepare", str)
    return await ctx.run("work", attempt)


async def endless(ctx: ActivityContext) -> None:
    """Wait for nothing."""
    await ctx.sleep(timedelta(hours=1))


@durable(version=VERSION)
class Worker(StateChart[Job]):
    """Works in the background or holding its key, waits, defers and ignores."""

    idle = State(initial=True)
    working = State(invoke=activity(work, retry=QUICKLY))
    holding = State(invoke=activity(work, id="held", retry=QUICKLY, exclusive=True))
    waiting = State(invoke=activity(endless, id="endless"))
    resting = State()
    failed = State()
    ended = State(final=True)

    begin = event(idle.to(working), Begin)
    hold = event(idle.to(holding), Begin)
    wait = event(idle.to(waiting))
    done_invoke_working = working.to(resting)
    error_invoke_working = working.to(failed)
    done_invoke_held = holding.to(resting)
    error_invoke_held = holding.to(failed)
    error_invoke_endless = waiting.to(failed)
    stop = event(waiting.to(resting))
    note = event(idle.to.itself(internal=True))
    wake = after(SHORT, resting.to(idle))
    end = event(idle.to(ended) | failed.to(ended))
    defer(working, "end")
    ignore(waiting, "note")

    def on_begin(self, data: Job, payload: Begin) -> None:
        data.fail = payload.fail

    def on_hold(self, data: Job, payload: Begin) -> None:
        data.fail = payload.fail


# ── machines with secrets ─────────────────────────────────────────────────────────────────────────────────────────────


class Customer(BaseModel):
    name: str = ""
    email: str = ""


class Card(BaseModel):
    card_number: str = ""
    pin: int = 0
    customer: Customer = Customer()
    how: str = ""

    @field_validator("card_number")
    @classmethod
    def is_card(cls, number: str) -> str:
        if number.startswith("0"):
            raise ValueError(f"{number[:8]} belongs to no bank")
        return number


async def charge(ctx: ActivityContext, data: Card) -> str:
    """Fail in all the ways in which a secret may be quoted."""

    def attempt() -> str:
        if data.how == "raise":
            raise RuntimeError(f"card {data.card_number} of {data.customer.email}")
        if data.how == "refuse":
            raise TerminalError(f"card {data.card_number} is refused")
        return data.card_number

    if data.how == "wait":
        await ctx.callback("go")
        raise TerminalError(f"card {data.card_number} waits no longer")
    if data.how == "outside":
        raise KeyError(data.card_number)
    return await ctx.run("charge", attempt)


def posted(request: Request) -> Incoming:
    """Quote the request, if it says so."""
    body = json.loads(request.body)
    if "quote" in body:
        raise ValueError(f"what is {body['card_number']} to be?")
    return Incoming(body["event"], body.get("payload"), key=body["key"])


SECRETS = ("card_number", "pin", "customer.email")


@durable(redact=SECRETS, webhooks=[Webhook("bank", decode=posted, signature=None)], history=History(record=True))
class Wallet(StateChart[Card]):
    """Has secrets, and quotes them wherever it can."""

    empty = State(initial=True)
    filled = State()
    charging = State(invoke=activity(charge, retry=QUICKLY))
    charged = State()
    refused = State()

    fill = event(empty.to(filled), Card)
    check = event(filled.to(filled, validators="refuse"))
    leak = event(filled.to(filled))
    spend = event(filled.to(charging))
    done_invoke_charging = charging.to(charged)
    error_invoke_charging = charging.to(refused)
    forget = event(charged.to(empty))
    quote = event(empty.to.itself(internal=True) | charging.to.itself(internal=True), Card)
    defer(charging, "leak_later")
    leak_later = event(refused.to(refused))

    def on_fill(self, data: Card, payload: Card) -> None:
        data.card_number, data.pin, data.customer, data.how = (
            payload.card_number, payload.pin, payload.customer, payload.how,
        )  # fmt: skip

    def refuse(self, data: Card) -> None:
        raise ValueError(f"no check of {data.card_number} with {data.pin}")

    def on_leak(self, data: Card) -> None:
        raise RuntimeError(f"{data.card_number!r} of {data.customer.email}, pin {data.pin}")

    def on_leak_later(self, data: Card) -> None:
        raise RuntimeError(f"later {data.card_number}")

    def on_quote(self, payload: Card) -> None:
        raise LookupError(json.dumps(payload.model_dump()))


class TillModel:
    def leak(self, card_number: str = "") -> None:
        raise RuntimeError(f"{card_number} is refused")


till = TransitionsConfig(
    "Till",
    states=["open", "shut"],
    transitions=[
        {"trigger": "pay", "source": "open", "dest": "open", "before": "leak"},
        ["close", "open", "shut"],
    ],
    initial="open",
    model=TillModel,
    events={"pay": Card},
    redact=SECRETS,
    operators_only=("repair", "delete", "history"),
)


# ── machines that break ───────────────────────────────────────────────────────────────────────────────────────────────


class Touchy(BaseModel):
    n: int = 0

    @field_validator("n")
    @classmethod
    def break_(cls, n: int) -> int:
        if n == 13:
            raise RuntimeError("touched")  # not a ValueError: pydantic lets it through
        if n == 14:
            raise ValueError("touched")
        return n


def broken_input(data: Touchy) -> object:
    """Raise where the work would begin."""
    raise RuntimeError("the input breaks")


def broken_request(request: Request) -> Incoming:
    """Raise on every request."""
    raise RuntimeError("the decoder breaks")


class Unspeakable(Exception):
    """Cannot even be written down."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


async def unused(data: object) -> None: ...


async def break_(data: object) -> None:
    """Raise."""
    raise RuntimeError("the work breaks")


@durable(webhooks=[Webhook("shop", decode=broken_request, signature=None)])
class Careless(StateChart[Touchy]):
    """Breaks wherever it is touched."""

    catch_errors_as_events = False

    calm = State(initial=True)
    begun = State(invoke=activity(unused, input=broken_input))
    works = State(invoke=activity(break_, id="breaking", retry=Retry(attempts=1)))
    entered = State()

    guard = event(calm.to(entered, cond="breaks"))
    action = event(calm.to(entered))
    mute = event(calm.to(entered))
    validator = event(calm.to(entered, validators="breaks"))
    enter = event(calm.to(entered))
    begin = event(calm.to(begun))
    work = event(calm.to(works))
    spoil = event(calm.to.itself(internal=True), Touchy)
    typed = event(calm.to(entered), Touchy)
    error_invoke_begun = begun.to(calm)
    error_invoke_breaking = works.to(calm)
    back = event(entered.to(calm))

    def breaks(self) -> bool:
        raise RuntimeError("the guard breaks")

    def on_action(self) -> None:
        raise RuntimeError("the action breaks")

    def on_mute(self) -> None:
        raise Unspeakable

    def on_enter_entered(self) -> None:
        raise RuntimeError("the entry breaks")

    def on_spoil(self, data: Touchy, payload: Touchy) -> None:
        data.n = payload.n + 10


# ── a machine with everything that is hosted ──────────────────────────────────────────────────────────────────────────


class Things(BaseModel):
    things: list[int] = []
    owner: str = ""


async def each_thing(ctx: ActivityContext, thing: int) -> int:
    """Do what may wait for an answer."""
    return thing


EVERYTHING: dict[str, Any] = {
    "sources": [
        Kafka("everything-own", decode=lambda record: None),
        Kafka("everything", decode=lambda record: None, key=lambda record: "k"),
    ],
    "webhooks": [Webhook("shop", decode=broken_request, signature=None)],
    "work": [activity(unused, id="detached")],
    "workflow": True,
    "index": ("owner",),
}


@durable(**EVERYTHING)
class Everything(StateChart[Things]):
    """Has every service that a chart can have."""

    idle = State(initial=True)
    busy = State(invoke=activity(each_thing, each="things", limit=1))

    press = event(idle.to(busy))
    error_invoke_busy = busy.to(idle)
    done_invoke_busy = busy.to(idle)
    tick = after(timedelta(hours=1), busy.to(idle))
    holding = State(invoke=activity(unused, exclusive=True))
    hold = event(idle.to(holding), public=False)
    done_invoke_holding = holding.to(idle)
    error_invoke_holding = holding.to(idle)
    whatever = event(idle.to.itself(internal=True), public=False)
    idle.to.itself(internal=True, event="note.* error.* done.*")


@durable(**EVERYTHING, operators_only=CLOSABLE)
class Closed(Everything):
    """The same, with all closed that can be."""


watch_app = app(Everything, Closed, Worker, Wallet, till, Careless)


# ── operators' way to what is closed ──────────────────────────────────────────────────────────────────────────────────

desk = restate.Service("Desk")


@desk.handler()
async def repair(ctx: restate.Context, request: dict[str, Any]) -> str:
    """Repair a machine, for those who have the token."""
    if not hmac.compare_digest(ctx.request().headers.get("x-token", "").encode(), b"let me in"):
        raise restate.TerminalError("no operator", 401)
    body = json.dumps(request["repair"]).encode()
    return (await ctx.generic_call(request["chart"], "repair", body, key=request["key"])).decode()


desk_app = restate.app([desk])

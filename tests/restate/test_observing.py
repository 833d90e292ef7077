"""Telling operators never stands in a machine's way: not without OpenTelemetry, not with a logger that breaks."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from restate.server_context import restate_context_is_replaying

from durable_fsm import JsonFormatter
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import Status
from durable_fsm.core.step import start
from durable_fsm.core.turn import Taken
from durable_fsm.errors import ActionError
from durable_fsm.restate.observability import redaction, report, tracing
from durable_fsm.restate.observability.logging import LineFormatter, log
from durable_fsm.restate.observability.tracebacks import RecentFailures
from tests.building import chart, edge, hosted

ORDER = chart("cart\npaid", edge("cart", "pay", "paid"))
CART = start(ORDER).snapshot
PAID = [Taken(2, "pay", "taken", configuration=("paid",))]


class Kept(logging.Handler):
    """Keeps records, as they were when they came."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def kept() -> Iterator[Kept]:
    handler = Kept()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def take(key: str = "o-17") -> None:
    before = report.current.set(report.Invocation(ORDER, key, "inv_1", "pay", "pay"))
    report.saved(CART, PAID, CART)
    report.current.reset(before)


def test_a_record_has_what_happened_as_attributes(kept: Kept) -> None:
    take()

    (line,) = kept.lines
    duration, moment = line.pop("duration_ms"), line.pop("time")
    assert (duration >= 0, moment[-6:]) == (True, "+00:00")
    assert line == {
        "level": "INFO",
        "logger": "durable_fsm",
        "message": f"{ORDER.name}/o-17: 'pay': cart → paid",
        "kind": "taken",
        "chart": ORDER.name,
        "key": "o-17",
        "event": "pay",
        "outcome": "taken",
        "seq": 2,
        "before": ["cart"],
        "after": ["paid"],
        "invocation": "inv_1",
    }


def test_code_of_a_document_that_fails_is_logged_once(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "recent", RecentFailures())
    caught = ActionError(chart=ORDER.name, event="pay", callback="if", problem="NameError: no 'x'.")
    failed = [Taken(2, "pay", "taken", configuration=("cart",), caught=(caught, caught))]
    before = report.current.set(report.Invocation(ORDER, "o-17", "inv_1", "pay", "pay"))

    report.saved(CART, failed, CART)

    report.current.reset(before)
    assert [(line["level"], line["kind"], line.get("error")) for line in kept.lines] == [
        ("INFO", "taken", None),
        ("WARNING", "raised", "ActionError"),
    ]
    assert kept.lines[1]["message"] == f"{ORDER.name}/o-17: if, in 'pay', failed: NameError: no 'x'."


def test_a_replay_is_silent(kept: Kept) -> None:
    token = restate_context_is_replaying.set(True)
    try:
        take()
        log.error("said before")
    finally:
        restate_context_is_replaying.reset(token)

    assert kept.lines == []


def test_a_handler_that_breaks_does_not_break_a_machine(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(record: logging.LogRecord) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(kept, "emit", breaks)

    take()


@pytest.mark.parametrize(("child", "within"), [("", ""), ("Charge/c-1", " (in Charge/c-1)")])
def test_that_a_machine_has_failed_is_an_error_and_told_once(kept: Kept, child: str, within: str) -> None:
    failed = msgspec.structs.replace(CART, status=Status.FAILED, failure=Failure("NoFunds", "no money", machine=child))
    token = report.current.set(report.Invocation(ORDER, "o-17", "inv_1", "pay", "pay"))
    try:
        report.saved(CART, [], failed)
        report.saved(failed, [], msgspec.structs.replace(failed, seq=failed.seq + 1))
    finally:
        report.current.reset(token)

    (line,) = kept.lines
    assert (line["level"], line["kind"], line["error"], line["seq"]) == ("ERROR", "failed", "NoFunds", CART.seq)
    assert line["message"] == f"Order/o-17: the machine has failed{within}: no money"


def test_outside_of_any_invocation_nothing_is_told(kept: Kept) -> None:
    report.saved(CART, PAID, CART)
    report.rejected("pay", "no", 409)

    assert kept.lines == []


def test_an_exception_is_part_of_its_line(kept: Kept) -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        log.exception("two\nlines")

    assert kept.lines[0]["message"] == "two\\nlines"
    assert kept.lines[0]["exception"].endswith("ValueError: wrong")


def test_where_a_chart_redacts_a_traceback_has_places_and_no_words(kept: Kept) -> None:
    token = redaction.begin(_redacting())
    try:
        _fail()
    except KeyError:
        log.exception("failed")
    finally:
        redaction.end(token)

    told = kept.lines[0]["exception"]
    assert "41111" not in told
    assert "in _fail" in told
    assert told.count("its words are left out") == 2


def _fail() -> None:
    number = str(41_111)
    try:
        raise ValueError(number)
    except ValueError as error:
        raise KeyError(number) from error


def _redacting() -> Any:
    return hosted(ORDER, redact=("card_number",))


def test_without_a_provider_nothing_is_counted_and_no_span_is_made() -> None:
    assert not tracing.is_on()


def test_a_provider_that_is_set_up_before_the_first_event_is_used() -> None:
    program = """if True:
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from durable_fsm.restate.observability import tracing

        reader = InMemoryMetricReader()
        metrics.set_meter_provider(MeterProvider([reader]))
        tracing.count(tracing.EVENTS, {"event": "pay"})

        counted = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0]
        assert (counted.name, counted.data.data_points[0].value) == ("durable_fsm.events", 1)
        assert tracing.is_on()
    """

    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("seconds", [[0, 1], [1, 0], [1_764_000_000, 1_764_000_000, 1_764_000_001]])
def test_a_line_of_the_log_begins_with_the_local_time(seconds: list[int]) -> None:
    """Also when the computer's clock is not set yet, and begins in 1970."""
    lines = LineFormatter()

    for second in seconds:
        record = logging.makeLogRecord({"created": second + 0.25, "msecs": 250.0, "levelname": "INFO", "msg": "said"})
        told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        assert lines.format(record) == f"{told},250 INFO said"

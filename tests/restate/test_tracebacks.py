"""Tracebacks of an author's code in the log: which exceptions have one, and how an endless failure does not flood it."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest

from durable_fsm.errors import ActionError, InvalidPayload, TerminalError
from durable_fsm.restate.observability import report, tracebacks
from durable_fsm.restate.observability.tracebacks import AuthorFailure, RecentFailures
from tests.restate.test_error_boundary import Lamp


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in seconds; and nothing has failed so far."""
    now = [1_000.0]
    monkeypatch.setattr(tracebacks, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(report, "recent", RecentFailures())
    return now


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, clock: list[float]) -> Iterator[pytest.LogCaptureFixture]:
    """The log of one invocation."""
    from durable_fsm import chart_from

    report.current.set(report.Invocation(chart_from(Lamp), "one", "inv_1", "press"))
    caplog.set_level(logging.INFO, "durable_fsm")
    yield caplog
    report.current.set(None)


def careless(words: str) -> None:
    raise RuntimeError(words)


def raised(words: str = "no way") -> BaseException:
    try:
        careless(words)
    except RuntimeError as error:
        return error
    raise AssertionError


def test_the_same_failure_is_logged_once_a_minute_and_the_others_are_counted(
    log: pytest.LogCaptureFixture, clock: list[float]
) -> None:
    for _ in range(600):
        report.raised(raised(), "step 'charge'", final=False)
        clock[0] += 0.5

    records = log.records
    assert [(record.levelno, vars(record)["left_out"]) for record in records] == [(logging.WARNING, 0)] + [
        (logging.WARNING, 119)
    ] * 4
    assert records[1].getMessage().endswith("in careless); 119 more like it were left out")
    assert records[0].getMessage().startswith("Lamp/one: step 'charge' raised RuntimeError: no way (tests/restate/")


def test_other_code_and_other_exceptions_are_other_failures(log: pytest.LogCaptureFixture) -> None:
    report.raised(raised(), "step 'charge'")
    report.raised(raised("other words"), "step 'charge'")
    report.raised(raised(), "step 'refund'")

    assert [record.levelno for record in log.records] == [logging.ERROR, logging.ERROR]


def test_only_some_failures_are_remembered(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    monkeypatch.setattr(tracebacks, "REMEMBERED", 2)
    recent = RecentFailures()

    assert [recent.admit((name,)) for name in ("a", "b", "a", "c", "a")] == [0, 0, None, 0, 0]


def test_a_refusal_of_an_event_has_no_traceback() -> None:
    refused = InvalidPayload(chart="Lamp", subject="payload", expected="Count", problem="wrong", path="$")
    refused.__cause__ = raised()

    assert AuthorFailure.of(refused) is None
    assert AuthorFailure.of(TerminalError("declined")) is None
    assert AuthorFailure.of(None) is None


def test_the_traceback_of_a_callback_begins_at_its_first_line() -> None:
    failed = ActionError(chart="Lamp", event="press", callback="light", problem="RuntimeError: no way.")
    failed.__cause__ = raised()
    failure = AuthorFailure.of(failed)

    assert failure is not None
    assert failure.words.startswith("light, in 'press', raised RuntimeError: no way (")
    assert failure.exc_info[:2] == (RuntimeError, failed.__cause__)


def test_a_failure_of_python_itself_is_shown_as_it_is() -> None:
    def quit_(_: Any) -> None:
        sys.exit(1)

    try:
        quit_(None)
    except SystemExit as error:
        trace = tracebacks.from_author(error)
    assert trace is not None
    assert trace.tb_frame.f_code.co_filename == __file__

"""Observability: one log record, one span and one count for each thing that really happens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from durable_fsm.testing import wait_until
from tests.server.watched import Watched

pytestmark = pytest.mark.server


def story(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["kind"], row.get("event") or row.get("activity"), row.get("outcome")) for row in rows]


def test_each_event_is_logged_once_with_what_it_did(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("logged")

    host.receipt("Worker", key, "begin", {"fail": 0})
    host.wait_in("Worker", key, "idle")
    host.settled()

    taken = watched.logged(key, "taken")
    assert [(row["event"], row["before"], row["after"], row["seq"]) for row in taken] == [
        ("create", [], ["idle"], 1),
        ("begin", ["idle"], ["working"], 2),
        ("done.invoke.working", ["working"], ["resting"], 3),
        ("wake", ["resting"], ["idle"], 4),
    ]
    assert {(row["chart"], row["level"], row["logger"]) for row in taken} == {("Worker", "INFO", "durable_fsm")}
    assert taken[1]["message"] == f"Worker/{key}: 'begin': idle → working"
    assert all(row["duration_ms"] >= 0 and row["invocation"].startswith("inv_") for row in taken)


def test_an_activity_is_logged_from_its_start_to_its_end(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("activity")

    host.receipt("Worker", key, "begin", {"fail": 2})
    host.wait_in("Worker", key, "idle")
    host.settled()

    rows = watched.logged(key, "begun", "retried", "ended")
    assert [(row["kind"], row["activity"], row["level"]) for row in rows] == [
        ("begun", "working", "INFO"),
        ("retried", "working", "WARNING"),
        ("retried", "working", "WARNING"),
        ("ended", "working", "INFO"),
    ]
    assert [row["attempt"] for row in rows[1:3]] == [1, 2]
    failure = f"RuntimeError: try 1 ({rows[1]['place']})"
    assert rows[1]["place"].startswith("tests/server/watch_app.py:")
    assert (
        rows[1]["message"]
        == f"Worker/{key}: attempt 1 of 'work' in activity 'working' failed: {failure}. Next in 0.02 s."
    )


def test_each_attempt_of_an_exclusive_activity_is_logged_once(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("held")

    assert host.receipt("Worker", key, "hold", {"fail": 9})["configuration"] == ["failed"]
    host.settled()

    assert story(watched.logged(key)) == [
        ("taken", "create", "taken"),
        ("taken", "hold", "taken"),
        ("begun", "held", None),
        ("retried", "held", None),
        ("retried", "held", None),
        ("ended", "held", "failed"),
        ("taken", "error.invoke.held", "taken"),
    ]


def test_stopped_activities_and_rejected_deferred_and_ignored_events_are_logged(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("all")

    host.receipt("Worker", key, "wait")
    host.receipt("Worker", key, "note")
    assert host.post("Worker", key, "begin", {}).status_code == 409
    assert host.post("Worker", key, "send", {"event": "done.invoke.working"}).status_code == 403
    assert host.post("Worker", key, "send", {"event": "x" * 50}).status_code == 404
    assert host.post("Worker", key, "begin", {"fail": "often"}).status_code == 422
    wait_until(lambda: watched.logged(key, "begun"), what="the work to begin")
    host.receipt("Worker", key, "stop")
    wait_until(lambda: watched.logged(key, "stale"), what="the outcome that nobody wants any more")
    host.receipt("Worker", key, "delete")
    host.settled()

    rows = watched.logged(key)
    levels = {(row["kind"], row.get("event") or row.get("activity")): row["level"] for row in rows}
    assert levels == {
        ("taken", "create"): "INFO",
        ("taken", "wait"): "INFO",
        ("begun", "endless"): "INFO",
        ("ignored", "note"): "DEBUG",
        ("rejected", "begin"): "INFO",
        ("rejected", "done.invoke.working"): "WARNING",
        ("rejected", "x" * 50): "INFO",
        ("taken", "stop"): "INFO",
        ("ended", "endless"): "INFO",
        ("stale", "error.invoke.endless"): "DEBUG",
        ("deleted", None): "INFO",
    }
    assert len(rows) == len(levels) + 1  # the second `begin`
    (ended,) = watched.logged(key, "ended")
    assert ended["outcome"] == "stopped"


def test_a_deferred_event_is_logged_when_it_is_deferred_and_when_it_is_taken(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("deferred")

    host.receipt("Worker", key, "begin", {"fail": 9})
    assert host.receipt("Worker", key, "end")["outcome"] == "deferred"
    host.wait_in("Worker", key, "ended")
    host.settled()

    ends = [row for row in watched.logged(key) if row.get("event") == "end"]
    assert story(ends) == [("deferred", "end", "deferred"), ("taken", "end", "taken")]


def test_a_parked_delivery_is_logged_each_time(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("parked")

    host.receipt("Worker", key, "begin", {"fail": 0})
    host.wait_in("Worker", key, "resting")
    with watched.of_another_version():
        wait_until(lambda: len(watched.logged(key, "parked")) >= 2, what="the timer to be parked twice")
    host.wait_in("Worker", key, "idle")

    first, second, *_ = watched.logged(key, "parked")
    assert (first["level"], first["tries"], second["tries"]) == ("WARNING", 0, 1)
    assert "the snapshot was written by chart version '1'" in first["message"]


def test_a_key_with_a_line_break_is_logged_on_one_line(watched: Watched) -> None:
    key = watched.host.key("two\nlines")

    watched.host.receipt("Worker", key, "note")

    lines = (watched.directory / "service.log").read_text().splitlines()
    assert not any(line.startswith("lines") for line in lines)
    assert watched.logged(key)[0]["message"].startswith("Worker/two\\nlines-")


def test_every_kind_of_log_record_is_documented(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("kinds")
    host.receipt("Worker", key, "note")
    host.post("Worker", key, "history", {"last": -1})
    page = (Path(__file__).parents[2] / "docs" / "observability.md").read_text()
    rows = re.findall(r"^\| (`.+?`) \| ([A-Z]+) \| .+ \|$", page, re.MULTILINE)
    documented = {kind: level for kinds, level in rows for kind in re.findall(r"`(\w+)`", kinds)}

    told = watched.everything_logged()
    assert {row["kind"] for row in told if "kind" in row} <= documented.keys()
    refused = next(row for row in told if row.get("key") == key and row["kind"] == "refused")
    assert (refused["level"], refused["handler"]) == (documented["refused"], "history")


# ── spans ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_spans_belong_to_the_trace_of_the_server(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("traced")
    trace_id = f"{int.from_bytes(key.encode()[-8:]):032x}"
    caller = f"00-{trace_id}-00f067aa0ba902b7-01"

    answer = host.client.post(
        host.url("Worker", key, "begin"), json={"fail": 1}, headers={"traceparent": caller, "tracestate": ""}
    )
    assert answer.status_code == 200
    host.wait_in("Worker", key, "idle")
    host.settled()

    spans = watched.spans(key)
    assert sorted(span["name"] for span in spans) == [
        "Worker begin",
        "Worker create",
        "Worker done.invoke.working",
        "Worker wake",
        "Worker working",
        "Worker working: prepare",
        "Worker working: work",
        "Worker working: work",
    ]
    assert all(span["parent_id"] for span in spans)  # the attempt of the server, whose spans are not here
    of_the_caller = [span for span in spans if span["context"]["trace_id"] == f"0x{trace_id}"]
    assert {span["name"] for span in of_the_caller} == {
        "Worker create",
        "Worker begin",
    }  # others begin by one-way sends
    assert all(span["parent_id"] != "0x00f067aa0ba902b7" for span in of_the_caller)
    of_the_work = {span["context"]["trace_id"] for span in spans if span["name"].startswith("Worker working")}
    assert len(of_the_work) == 1
    begin = next(span for span in spans if span["name"] == "Worker begin")
    # There is no attribute for `kind`, and none for `duration_ms`: a span has its own name and times.
    assert begin["attributes"] == {
        "durable_fsm.chart": "Worker",
        "durable_fsm.key": key,
        "durable_fsm.event": "begin",
        "durable_fsm.outcome": "taken",
        "durable_fsm.before": ["idle"],
        "durable_fsm.after": ["working"],
        "durable_fsm.seq": 2,
        "durable_fsm.invocation": answer.headers["x-restate-id"],
    }
    assert begin["start_time"] <= begin["end_time"]


def test_an_exclusive_activity_is_in_the_trace_of_its_event(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("held")

    host.receipt("Worker", key, "hold", {"fail": 0})

    spans = watched.spans(key)
    assert sorted(span["name"] for span in spans) == [
        "Worker create",
        "Worker done.invoke.held",
        "Worker held",
        "Worker held: prepare",
        "Worker held: work",
        "Worker hold",
    ]
    assert len({span["context"]["trace_id"] for span in spans}) == 1


def test_the_span_of_an_event_that_failed_is_an_error(watched: Watched) -> None:
    host, key = watched.host, watched.host.key("fault")

    assert host.post("Careless", key, "action").status_code == 500
    assert host.post("Careless", key, "back").status_code == 409

    statuses = {span["name"]: span["status"]["status_code"] for span in watched.spans(key)}
    assert statuses == {"Careless action": "ERROR", "Careless back": "UNSET"}  # and no machine was begun


# ── counters ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_turn_counts_as_short_and_an_invocation_that_waits_as_long(watched: Watched) -> None:
    host = watched.host
    watched.uncounted()

    key = host.key("ways")
    host.receipt("Worker", key, "create")
    host.post("Worker", key, "stop")
    host.receipt("Worker", key, "begin", {"fail": 0})
    host.wait_in("Worker", key, "idle")
    host.settled()

    def counts() -> tuple[bool, ...]:
        return (
            watched.counts("durable_fsm.invocations", service="Worker", way="short") >= 2,
            watched.counts("durable_fsm.invocations", service="Worker.activities", way="long") >= 1,
        )

    wait_until(lambda: counts() == (True, True), what=f"counts, {counts()}, to be right")


def test_each_metric_counts_each_occurrence_once(watched: Watched) -> None:
    host = watched.host
    watched.uncounted()

    for fail in (0, 1, 9):
        key = host.key("counted")
        host.receipt("Worker", key, "begin", {"fail": fail})
        host.wait_in("Worker", key, "failed" if fail == 9 else "idle")
        host.post("Worker", key, "stop")
        host.post("Worker", key, "send", {"event": key})
    host.settled()

    def counts() -> tuple[int, ...]:
        return (
            watched.counts("durable_fsm.events", chart="Worker", event="begin", outcome="taken"),
            watched.counts("durable_fsm.events", chart="Worker", event="done.invoke.working", outcome="taken"),
            watched.counts("durable_fsm.events", chart="Worker", event="stop", outcome="rejected"),
            watched.counts("durable_fsm.events", chart="Worker", event="(unknown)", outcome="rejected"),
            watched.counts("durable_fsm.activities", chart="Worker", activity="working", outcome="done"),
            watched.counts("durable_fsm.activities", chart="Worker", activity="working", outcome="failed"),
            watched.counts("durable_fsm.retries", chart="Worker", activity="working", error="RuntimeError"),
        )

    wait_until(lambda: counts() == (3, 2, 3, 3, 2, 1, 3), what=f"counts, {counts()}, to be right")

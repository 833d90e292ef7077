"""What happens to machines, for operators: a log record, a span and a count for each real event.

Told is what is about to be written, right before it is written: an invocation that is replayed has told it before, and
is silent. Nothing here may fail an invocation, and none of it says what data or payloads hold.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ParamSpec

import restate
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Taken
from durable_fsm.restate.observability import redaction, telemetry
from durable_fsm.restate.observability.logging import LOGGER, is_replaying, log

UNKNOWN = "(unknown)"
"""Stands in counters for events that a chart does not have: their names are chosen by whoever sends them."""

OURS = frozenset({"create", "delete", "repair", "send"})

STOPPED = frozenset({"cancelled", "killed"})
"""Types of failures that somebody wanted."""

OPERATORS = frozenset({401, 403})
"""Statuses that an operator may want to know of at once."""


P = ParamSpec("P")


def _harmless(tell: Callable[P, None]) -> Callable[P, None]:
    """Let nothing out that telling may raise, be it a handler, an exporter or a mistake of ours: the machine goes on."""

    @wraps(tell)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:  # noqa: SIM105 - every event comes through here
            tell(*args, **kwargs)
        except Exception:  # noqa: BLE001 - whatever it is
            pass

    return told


@dataclass(slots=True)
class Watch:
    """One invocation: what it is about, and since when, in nanoseconds since 1970."""

    chart: Chart
    key: str
    invocation: str
    event: str | None = None
    is_told: bool = False
    began: int = field(default_factory=time.time_ns)


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


class Watching:
    """Watches one invocation for the machine *key*; a refusal of the event that it *takes* is told."""

    __slots__ = ("_before", "_handler", "_remembered", "_watch")

    def __init__(self, chart: Chart, ctx: restate.Context, key: str, handler: str, *, takes: str | None = None) -> None:
        self._handler = handler
        self._watch = Watch(chart, key, ctx.request().id, takes)

    def __enter__(self) -> None:
        self._before, self._remembered = _watch.get(), redaction.begin(self._watch.chart)
        _watch.set(self._watch)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, RestateTerminalError):
            _refused(self._watch, self._handler, error)
        redaction.end(self._remembered)
        _watch.set(self._before)  # no token: what is thrown away unfinished may end in another context


def invocation(ctx: restate.Context) -> str:
    """The id of this invocation: the one that is watched, which knows it already."""
    watch = _watch.get()
    return watch.invocation if watch is not None else ctx.request().id


def about(event: str) -> None:
    """The event that this invocation is about, where its handler's name does not say it."""
    watch = _watch.get()
    if watch is not None:
        watch.event = event


@_harmless
def _refused(watch: Watch, handler: str, error: RestateTerminalError) -> None:
    kind = (error.metadata or {}).get("type")
    if kind is None or watch.is_told:  # the platform's own: cancelled or killed; or told in other words
        return
    if watch.event is not None:
        rejected(watch.event, error.message, error.status_code, error=kind)
        return
    facts: dict[str, Any] = {"handler": handler, "error": kind, "status": error.status_code}
    _tell(watch, logging.DEBUG, "refused", f"{handler} refused: {error.message}", **facts)


@_harmless
def rejected(event: str, message: str, status: int, *, unheard: bool = False, **facts: Any) -> None:
    """An event was not taken. Its sender is told so; where it is *unheard*, for there is none, operators must be."""
    alarming = unheard or status in OPERATORS
    level = logging.ERROR if status >= 500 else logging.WARNING if alarming else logging.INFO
    watch = _watch.get()
    if watch is not None:
        watch.is_told = True
        facts = {"event": event, "outcome": "rejected", "status": status, **facts}
        _tell(watch, level, "rejected", message, span=True, counter="durable_fsm.events", **facts)


@_harmless
def saved(before: Snapshot | None, taken: Iterable[Taken], after: Snapshot) -> None:
    """What a machine has taken is about to be saved."""
    watch = _watch.get()
    if watch is None or is_replaying():
        return
    left = before.configuration if before is not None else ()
    heard = log.isEnabledFor(logging.INFO) or telemetry.is_on()
    for one in taken if heard else [one for one in taken if one.error is not None]:
        facts: dict[str, Any] = {"event": one.event, "outcome": one.outcome, "seq": one.seq}
        words = "" if one.outcome == Outcome.TAKEN else f" {one.outcome}"
        level = logging.INFO
        if one.error is not None:
            facts["error"], level = type(one.error).__name__, logging.WARNING
        if one.note:
            facts["note"] = redaction.cleaned(one.note)
        message = f"'{one.event}'{words}: {_names(left)} → {_names(one.configuration)}"
        facts |= {"before": list(left), "after": list(one.configuration)}
        _tell(watch, level, one.outcome, message, span=True, counter="durable_fsm.events", **facts)
        left = one.configuration
    was_failed = before is not None and before.status is Status.FAILED
    if after.status is Status.FAILED and after.failure is not None and not was_failed:
        message = f"the machine has failed: {after.failure.message}"
        _tell(watch, logging.ERROR, "failed", message, error=after.failure.type, seq=after.seq)


@_harmless
def unchanged(event: str, outcome: str) -> None:
    """An event has come and nothing is saved for it: it was ignored, or what it was for is gone."""
    watch = _watch.get()
    if watch is not None:
        message = f"'{event}' {outcome}"
        _tell(watch, logging.DEBUG, outcome, message, counter="durable_fsm.events", event=event, outcome=outcome)


@_harmless
def deleted(machine: Snapshot) -> None:
    """A machine is about to be deleted."""
    watch = _watch.get()
    if watch is not None:
        _tell(watch, logging.INFO, "deleted", "deleted", seq=machine.seq, before=list(machine.configuration))


@_harmless
def parked(event: str, reason: str, tries: int) -> None:
    """A delivery could not be taken, and is sent again later."""
    watch = _watch.get()
    if watch is not None:
        message = f"'{event}' is tried again later: {reason}"
        _tell(watch, logging.WARNING, "parked", message, counter="durable_fsm.parked", event=event, tries=tries)


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


@_harmless
def begun(activity: Activity, job: str, *, undo: bool = False) -> None:
    """An activity begins, or the undo of one."""
    watch = _watch.get()
    if watch is not None:
        _tell(watch, logging.INFO, "begun", f"{_work(activity, undo=undo)} begun", activity=activity.id, job=job)


@_harmless
def retried(activity: Activity, step: str, attempt: int, failure: Failure) -> None:
    """An attempt of a step has failed, and there will be another."""
    watch = _watch.get()
    if watch is None:
        return
    message = f"attempt {attempt} of '{step}' in activity '{activity.id}' failed: {failure.type}: {failure.message}"
    facts: dict[str, Any] = {"activity": activity.id, "step": step, "attempt": attempt, "error": failure.type}
    _tell(watch, logging.WARNING, "retried", message, counter="durable_fsm.retries", **facts)


@_harmless
def ended(activity: Activity, failure: Failure | None, job: str, *, undo: bool = False) -> None:
    """An activity is over, or the undo of one: done, failed for good, or stopped."""
    watch = _watch.get()
    if watch is None:
        return
    outcome, level, words = "done", logging.INFO, "done"
    facts: dict[str, Any] = {"activity": activity.id, "job": job}
    if failure is not None:
        facts["error"] = failure.type
        outcome = "stopped" if failure.type in STOPPED else "failed"
        level = logging.INFO if outcome == "stopped" else logging.WARNING
        words = outcome if outcome == "stopped" else f"failed: {failure.type}: {failure.message}"
    message, facts["outcome"] = f"{_work(activity, undo=undo)} {words}", outcome
    _tell(watch, level, "ended", message, span=True, counter="durable_fsm.activities", **facts)


def _work(activity: Activity, *, undo: bool) -> str:
    return f"undo of activity '{activity.id}'" if undo else f"activity '{activity.id}'"


@contextmanager
def stepping(activity: Activity, step: str) -> Generator[None]:
    """One attempt of a step, with a span of its own around it."""
    watch = _watch.get()
    if watch is None or not telemetry.is_traced():
        yield
        return
    facts = {"durable_fsm.chart": watch.chart.name, "durable_fsm.key": watch.key, "durable_fsm.activity": activity.id}
    with telemetry.spanning(f"{watch.chart.name} {activity.id}: {step}", {**facts, "durable_fsm.step": step}):
        yield


# ── telling ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_LABELS = ("event", "activity", "outcome")


def _tell(
    watch: Watch, level: int, kind: str, message: str, *, span: bool = False, counter: str | None = None, **facts: Any
) -> None:
    """Write the record, make the span, count; once for each real event."""
    if is_replaying():
        return
    facts = {"kind": kind, "chart": watch.chart.name, "key": watch.key, **facts, "invocation": watch.invocation}
    if log.isEnabledFor(level):
        facts["duration_ms"] = round((time.time_ns() - watch.began) / 1_000_000, 3)
        words = f"{watch.chart.name}/{watch.key}: {message}"
        record = logging.getLogRecordFactory()(LOGGER, level, __file__, 0, words, (), None, kind)  # always from here
        vars(record).update(facts)
        log.handle(record)
    if counter is not None and telemetry.is_counted():
        telemetry.count(counter, _labels(watch.chart, facts))
    if span and telemetry.is_traced():
        problem = redaction.clean(message) if level >= logging.WARNING else None
        name = f"{watch.chart.name} {_known(watch.chart, facts)}"
        telemetry.span(name, _attributes(facts), began=watch.began, problem=problem)


def _labels(chart: Chart, facts: dict[str, Any]) -> dict[str, str]:
    """What a counter is told: few different values, whatever anybody sends."""
    labels = {name: str(facts[name]) for name in _LABELS if name in facts}
    if "event" in labels:
        labels["event"] = _known(chart, facts)
    return {"chart": chart.name, **labels}


def _known(chart: Chart, facts: dict[str, Any]) -> str:
    """What happened, by a name that the chart gives it."""
    if "activity" in facts:
        return str(facts["activity"])
    name = str(facts["event"])
    outcome, _, of = name.partition(".invoke.")
    ours = name in OURS or (outcome in ("done", "error") and of in chart.activities)
    return name if ours or name in chart.events else UNKNOWN


def _attributes(facts: dict[str, Any]) -> dict[str, Any]:
    """Span attributes under our own names; what is no plain value is left out."""
    return {
        f"durable_fsm.{name}": value
        for name, value in facts.items()
        if isinstance(value, str | int | list) and name not in ("kind", "note")
    }


def _names(configuration: Iterable[str]) -> str:
    return ", ".join(configuration) or "nothing"

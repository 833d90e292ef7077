"""Reports to operators: one log record, span and count for each real event.

A report is made right before its subject is written to the journal. On replay the journal has it already, and nothing is
reported again. No report may fail an invocation, and none quotes data or payloads.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec

from msgspec import UNSET, Struct, UnsetType, field
from restate import TerminalError as RestateTerminalError

from durable_fsm.core.author_code import ANYTHING
from durable_fsm.core.chart import Activity, Chart
from durable_fsm.core.effects import Outcome
from durable_fsm.core.events import Failure
from durable_fsm.core.snapshot import Snapshot, Status
from durable_fsm.core.turn import Taken
from durable_fsm.errors import ActionError, EventError
from durable_fsm.restate.clock import instant
from durable_fsm.restate.observability import redaction, tracing
from durable_fsm.restate.observability.logging import LOGGER, is_replaying, log
from durable_fsm.restate.observability.places import place_of
from durable_fsm.restate.observability.tracebacks import AuthorFailure, ExceptionInfo, recent

UNKNOWN = "(unknown)"
"""Name of events in counters and spans that the chart does not have: senders could choose endlessly many names."""

OURS = frozenset({"create", "delete", "repair", "send"})

STOPPED = frozenset({"cancelled", "killed"})
"""Types of failures that a machine or an operator caused on purpose."""

PARKED = "parked"

LABELS = ("event", "activity", "outcome")
CAUSES = ("error", "place")
"""Labels of the counters of activities: why an attempt or an activity failed. Their values are a part of the code."""

P = ParamSpec("P")


class Invocation(Struct, eq=False):
    """One invocation of a handler, from which reports take what they have in common.

    Attributes:
        key: of the machine that it is about.
        event: that the handler takes. If the handler refuses it, that is reported.
        by: the sender, if it is not a client: `operator:ann`, `kafka:orders`.
        if_seq: the step at which the machine must still be, if the sender says so.
        must_say_seq: whether an operator has signed, who has to say so.
        began: in nanoseconds since 1970.
    """

    chart: Chart
    key: str
    id: str
    handler: str
    event: str | None = None
    is_refused: bool = False
    by: str = ""
    if_seq: int | None = None
    must_say_seq: bool = False
    began: int = field(default_factory=time.time_ns)


current: ContextVar[Invocation | None] = ContextVar("invocation", default=None)
"""The invocation that reports belong to; `registration` sets it."""


def about_job(key: str, activity: str) -> None:
    """Name the machine and the activity of a job: the service of activities has no keys."""
    invocation = current.get()
    if invocation is not None:
        invocation.key, invocation.handler = key, activity


def about(event: str) -> None:
    """Name the event that this invocation takes, where the handler's name does not."""
    invocation = current.get()
    if invocation is not None:
        invocation.event = event


def sent_by(sender: str) -> None:
    """Name the sender of the event, for the log and the history."""
    invocation = current.get()
    if invocation is not None:
        invocation.by = sender


def only_if(seq: int | UnsetType) -> None:
    """Note the step at which the machine must still be, if the request says so."""
    invocation = current.get()
    if invocation is not None and seq is not UNSET:
        invocation.if_seq = seq


def says_seq() -> bool:
    """Whether the request says at which step the machine must still be, or has to."""
    invocation = current.get()
    return invocation is not None and (invocation.must_say_seq or invocation.if_seq is not None)


def sender() -> str:
    """The sender of the event; empty for a client."""
    invocation = current.get()
    return "" if invocation is None else invocation.by


def _harmless(report: Callable[P, None]) -> Callable[P, None]:
    """Keep exceptions of log handlers, exporters and of ours away from the machine."""

    @wraps(report)
    def harmless(*args: P.args, **kwargs: P.kwargs) -> None:
        try:  # noqa: SIM105 - every event comes through here, and `suppress` is slower
            report(*args, **kwargs)
        except ANYTHING:
            pass

    return harmless


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@_harmless
def saved(before: Snapshot | None, taken: Sequence[Taken], after: Snapshot) -> None:
    """A machine is about to be saved after it has processed some events."""
    if current.get() is None or is_replaying():
        return
    left = before.configuration if before is not None else ()
    is_heard = log.isEnabledFor(logging.INFO) or tracing.is_on()
    taken = [one for one in taken if one.outcome != PARKED]  # those have a report of their own
    for one in taken if is_heard else [one for one in taken if one.error is not None]:
        facts: dict[str, Any] = {"event": one.event, "outcome": one.outcome, "seq": one.seq}
        level = logging.INFO
        if one.error is not None:
            facts["error"], level = type(one.error).__name__, logging.WARNING
        if one.note:
            facts["note"] = redaction.cleaned(one.note)
        outcome = "" if one.outcome == Outcome.TAKEN else f" {one.outcome}"
        after_it = _names(one.configuration)
        way = f"still in {after_it}" if left == one.configuration else f"{_names(left)} → {after_it}"
        message = f"'{one.event}'{outcome}: {way}"
        facts |= {"before": list(left), "after": list(one.configuration)}
        _report(level, one.outcome, message, span=True, counter=tracing.EVENTS, **facts)
        left = one.configuration
    for one in taken:
        if one.caught or one.error is not None:
            for caught in (*one.caught, one.error):
                raised(caught)
            for caught in one.caught:
                _failed_without_place(caught)
    was_failed = before is not None and before.status is Status.FAILED
    if after.status is Status.FAILED and after.failure is not None and not was_failed:
        within = f" (in {after.failure.machine})" if after.failure.machine else ""
        message = f"the machine has failed{within}: {after.failure.message}"
        _report(logging.ERROR, "failed", message, error=after.failure.type, seq=after.seq)


@_harmless
def unchanged(event: str, outcome: str) -> None:
    """An event changes nothing: it was ignored, or the timer or the activity that it belongs to is gone."""
    _report(logging.DEBUG, outcome, f"'{event}' {outcome}", counter=tracing.EVENTS, event=event, outcome=outcome)


@_harmless
def rejected(event: str, message: str, status: int, *, unheard: bool = False, **facts: Any) -> None:
    """An event was not processed. If it is *unheard*, no sender waits for the answer, and operators are warned."""
    invocation = current.get()
    if invocation is None:
        return
    invocation.is_refused = True
    is_warning = unheard or status == 403
    level = logging.ERROR if status >= 500 else logging.WARNING if is_warning else logging.INFO
    facts = {"event": event, "outcome": "rejected", "status": status, **facts}
    _report(level, "rejected", message, span=True, counter=tracing.EVENTS, **facts)


@_harmless
def refused(invocation: Invocation, error: RestateTerminalError) -> None:
    """A handler answers with an error. It is reported, unless it is Restate's own or was reported already."""
    kind = (error.metadata or {}).get("type")
    if kind is None or invocation.is_refused:
        return
    if invocation.event is not None:
        rejected(invocation.event, error.message, error.status_code, error=kind)
        return
    facts: dict[str, Any] = {"handler": invocation.handler, "error": kind, "status": error.status_code}
    _report(logging.DEBUG, "refused", f"{invocation.handler} refused: {_bare(invocation, error.message)}", **facts)


@_harmless
def parked(event: str, reason: str, tries: int, place: str = "") -> None:
    """A delivery could not be processed, and will be sent again later; *place* is where the author's code raised."""
    where = f" ({place})" if place else ""
    message = f"'{event}' is tried again later: {reason}{where}"
    _report(logging.WARNING, PARKED, message, counter=tracing.PARKED, event=event, tries=tries, place=place)


@_harmless
def deleted(machine: Snapshot) -> None:
    """A machine is about to be deleted."""
    _report(logging.INFO, "deleted", "deleted", seq=machine.seq, before=list(machine.configuration))


# ── the author's code ─────────────────────────────────────────────────────────────────────────────────────────────────


@_harmless
def raised(error: BaseException | None, where: str = "", *, final: bool = True) -> None:
    """An author's code has raised an exception, which may be behind an *error* of ours: log its traceback.

    The same failure is logged once a minute, with the number of those that were left out. One that is *final* is an
    error; the others are tried again.
    """
    invocation = current.get()
    failure = AuthorFailure.of(error, where)
    if failure is None or invocation is None or is_replaying():
        return
    left_out = recent.admit((invocation.chart.name, *failure.kind))
    if left_out is None:
        return
    level = logging.ERROR if final else logging.WARNING
    more = f"; {left_out} more like it were left out" if left_out else ""
    facts: dict[str, Any] = {"error": type(failure.error).__name__, "place": place_of(failure.error)}
    _report(level, "raised", f"{failure.words}{more}", trace=failure.exc_info, left_out=left_out, **facts)


def _failed_without_place(error: ActionError) -> None:
    """Log code that has no place in Python, that of a document: a transition may not have taken `error.execution`."""
    cause, invocation = error.__cause__, current.get()
    if isinstance(cause, EventError) or AuthorFailure.of(error) is not None or invocation is None or is_replaying():
        return
    left_out = recent.admit((invocation.chart.name, error.event, error.callback))
    if left_out is not None:
        more = f" {left_out} more like it were left out." if left_out else ""
        message = f"{error.callback}, in '{error.event}', failed: {error.problem}{more}"
        name = "ActionError" if cause is None else type(cause).__name__
        _report(logging.WARNING, "raised", message, error=name, left_out=left_out)


# ── activities ────────────────────────────────────────────────────────────────────────────────────────────────────────


@_harmless
def begun(activity: Activity, job: str, *, undo: bool = False) -> None:
    """An activity or its undo begins."""
    _report(logging.INFO, "begun", f"{_work(activity, undo=undo)} begun", activity=activity.id, job=job)


@_harmless
def retried(
    activity: Activity, step: str, attempt: int, failure: Failure, pause: timedelta, *, since: int | None
) -> None:
    """An attempt of a step has failed, and there will be another after this pause; they fail *since* an instant."""
    earlier = "" if since is None else f" It has been failing since {instant(since)}."
    message = (
        f"attempt {attempt} of '{step}' in activity '{activity.id}' failed: {_failed(failure)}."
        f"{earlier} Next in {pause.total_seconds():g} s."
    )
    facts: dict[str, Any] = {"activity": activity.id, "step": step, "attempt": attempt, "error": failure.type}
    facts["place"] = failure.place
    _report(logging.WARNING, "retried", message, counter=tracing.RETRIES, **facts)


@_harmless
def ended(activity: Activity, failure: Failure | None, job: str, *, undo: bool = False) -> None:
    """An activity or its undo is over: done, stopped, or failed for good."""
    outcome, level, result = "done", logging.INFO, "done"
    facts: dict[str, Any] = {"activity": activity.id, "job": job}
    if failure is not None:
        facts |= {"error": failure.type, "place": failure.place}
        if failure.type in STOPPED:
            outcome = result = "stopped"
        else:
            outcome, level, result = "failed", logging.WARNING, f"failed: {_failed(failure)}"
    message, facts["outcome"] = f"{_work(activity, undo=undo)} {result}", outcome
    _report(level, "ended", message, span=True, counter=tracing.ACTIVITIES, **facts)


def _failed(failure: Failure) -> str:
    where = f" ({failure.place})" if failure.place else ""
    return f"{failure.type}: {failure.message}{where}"


def _work(activity: Activity, *, undo: bool) -> str:
    return f"undo of activity '{activity.id}'" if undo else f"activity '{activity.id}'"


@contextmanager
def stepping(activity: Activity, step: str) -> Generator[None]:
    """Make a span around one attempt of a step."""
    invocation = current.get()
    if invocation is None or not tracing.is_on():
        yield
        return
    chart = invocation.chart.name
    facts = {"chart": chart, "key": invocation.key, "activity": activity.id, "step": step}
    with tracing.spanning(f"{chart} {activity.id}: {step}", _attributes(facts)):
        yield


# ── reporting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _report(
    level: int,
    kind: str,
    message: str,
    *,
    span: bool = False,
    counter: str = "",
    trace: ExceptionInfo | None = None,
    **facts: Any,
) -> None:
    """Log, count and make a span, for the current invocation, unless it is replayed."""
    invocation = current.get()
    if invocation is None or is_replaying():
        return
    chart = invocation.chart
    facts = {"kind": kind, "chart": chart.name, "key": invocation.key, **facts, "invocation": invocation.id}
    if invocation.by:
        facts["by"] = invocation.by
    if log.isEnabledFor(level):
        facts["duration_ms"] = round((time.time_ns() - invocation.began) / 1_000_000, 3)
        text = f"{chart.name}/{invocation.key}: {_bare(invocation, message)}"
        # Not log.log(): it looks for the line of the caller, which is always this one.
        record = logging.getLogRecordFactory()(LOGGER, level, __file__, 0, text, (), trace, kind)
        vars(record).update(facts)
        log.handle(record)
    if counter and tracing.is_on():
        tracing.count(counter, _labels(chart, facts))
    if span and tracing.is_on():
        problem = redaction.clean(message) if level >= logging.WARNING else None
        name = f"{chart.name} {_known(chart, facts)}"
        tracing.span(name, _attributes(facts), began=invocation.began, problem=problem)


def _bare(invocation: Invocation, message: str) -> str:
    """The message of an error without the place, with which every line of the log begins."""
    return message.removeprefix(f"{invocation.chart.name}/{invocation.key}: ")


def _labels(chart: Chart, facts: dict[str, Any]) -> dict[str, str]:
    """The labels of a counter, which must have few different values, whatever senders send."""
    wanted = (*LABELS, *CAUSES) if "activity" in facts else LABELS
    labels = {name: str(facts[name]) for name in wanted if facts.get(name)}
    if "event" in labels:
        labels["event"] = _known(chart, facts)
    return {"chart": chart.name, **labels}


def _known(chart: Chart, facts: dict[str, Any]) -> str:
    """The activity or the event, by a name that the chart gives it."""
    if "activity" in facts:
        return str(facts["activity"])
    name = str(facts["event"])
    outcome, _, of = name.partition(".invoke.")
    ours = name in OURS or (outcome in ("done", "error") and of in chart.activities)
    return name if ours or name in chart.events else UNKNOWN


def _attributes(facts: dict[str, Any]) -> dict[str, Any]:
    """Attributes of a span: those facts that OpenTelemetry can carry, under names of ours."""
    return {
        f"durable_fsm.{name}": value
        for name, value in facts.items()
        if isinstance(value, str | int | list) and name not in ("kind", "note")
    }


def _names(configuration: Iterable[str]) -> str:
    return ", ".join(configuration) or "nothing"
